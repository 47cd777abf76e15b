"""Fetches Apache Kafka with Maven, once per cache folder."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

from services.supervisor.errors import MissingTool, StartFailed
from services.supervisor.file_lock import file_lock

KAFKA_VERSION = "4.3.1"
# Without a binding Kafka's logger writes nothing at all.
LOG4J_VERSION = "2.25.3"
JAVA_MINIMUM = 17
FETCH_SECONDS = 300
NEEDS = f"Kafka needs Java {JAVA_MINIMUM} or newer and, the first time, Maven (Debian: apt install openjdk-17-jre-headless maven)"
MARKER = "COMPLETE"

POM = dedent(f"""\
    <project xmlns="http://maven.apache.org/POM/4.0.0">
      <modelVersion>4.0.0</modelVersion>
      <groupId>local</groupId><artifactId>kafka</artifactId><version>{KAFKA_VERSION}</version>
      <dependencies>
        <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version></dependency>
        <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version></dependency>
        <dependency>
          <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>{LOG4J_VERSION}</version>
        </dependency>
      </dependencies>
    </project>
    """)


def java() -> str:
    """Path of a Java that is new enough.

    Raises:
        MissingTool: there is none.
    """
    path = shutil.which("java")
    if path is None:
        raise MissingTool(f"java was not found. {NEEDS}")
    version = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603 # found on PATH
    major = re.search(r'version "(\d+)', version)
    if major is None or int(major.group(1)) < JAVA_MINIMUM:
        raise MissingTool(f"the java on PATH is too old. {NEEDS}", version=version)
    return path


def kafka_jars(cache: Path) -> Path:
    """The folder with every jar; several processes may ask at once.

    Raises:
        MissingTool: Maven is not installed, and nothing is cached.
        StartFailed: Maven could not fetch them.
    """
    home = cache / KAFKA_VERSION
    with file_lock(home / ".lock"):
        if not (home / "libs" / MARKER).exists():
            _fetch(home)
    return home / "libs"


def _fetch(home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingTool(f"mvn was not found. {NEEDS}")
    draft = home / "libs.new"
    for folder in (draft, home / "libs"):
        shutil.rmtree(folder, ignore_errors=True)
    (home / "pom.xml").write_text(POM)
    _copy_dependencies(maven, home, draft)
    (draft / MARKER).touch()
    draft.rename(home / "libs")


def _copy_dependencies(maven: str, home: Path, target: Path) -> None:
    arguments = ("-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime")
    try:
        done = subprocess.run(  # noqa: S603 # found on PATH; the arguments are ours
            [maven, *arguments], cwd=home, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StartFailed(f"Maven did not fetch Kafka within {FETCH_SECONDS} s") from error
    if done.returncode != 0 or not any(target.glob("kafka_2.13-*.jar")):
        raise StartFailed(f"Maven could not fetch Kafka:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
