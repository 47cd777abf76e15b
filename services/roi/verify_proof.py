"""Checks proofs of a sealed ledger offline. Needs Python 3.9 or newer and nothing else: neither Recoup, nor a network, nor trust in either.

    python verify_proof.py inclusion PROOF.json [--seal SEAL.json]
    python verify_proof.py consistency PROOF.json [--older SEAL.json] [--newer SEAL.json]

PROOF.json is an answer of /v1/roi/ledger/lines/{id}/proof or /v1/roi/ledger/consistency, SEAL.json one of /v1/roi/ledger/seals/{n}. A
proof alone shows that it agrees with the seal in it; it proves something where that seal is one that you have kept yourself, so give it.
Prints what is proven and exits with 0; or what is wrong, and exits with 1 (2: the command or a file cannot be read).

Hashes are SHA-256 as in RFC 6962: a leaf is hashed after a byte 0, two nodes after a byte 1; a seal is hashed after a byte 2.
"""

# ruff: noqa: T201  # it talks to whoever starts it
from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


SEALED = ("horizon", "n", "previous", "root", "sealed_at", "size", "tenant_id")


class Wrong(Exception):
    """The proof does not prove it."""


def sha256(prefix: int, *parts: bytes) -> bytes:
    return hashlib.sha256(bytes([prefix]) + b"".join(parts)).digest()


def seal_hash(seal: dict[str, Any]) -> str:
    text = json.dumps({name: seal[name] for name in SEALED}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(2, text.encode()).hex()


def check_seal(seal: dict[str, Any], own: dict[str, Any] | None, name: str) -> None:
    """The seal in the proof is whole, and the one that was kept."""
    if seal_hash(seal) != seal["hash"]:
        raise Wrong(f"the {name} in the proof does not have the hash that it states")
    if own is not None and (seal_hash(own) != own["hash"] or own["hash"] != seal["hash"]):
        raise Wrong(f"the {name} in the proof is not the one that you kept")


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Root of a tree of `size` leaves from one leaf and its path: RFC 6962, 2.1.1, going down first and hashing on the way back."""
    if not 0 <= index < size:
        raise Wrong("there is no such leaf in a tree of that size")
    if size == 1:
        if path:
            raise Wrong("the path is too long")
        return leaf
    if not path:
        raise Wrong("the path is too short")
    left = left_part(size)
    if index < left:
        return sha256(1, root_of(leaf, index, left, path[:-1]), path[-1])
    return sha256(1, path[-1], root_of(leaf, index - left, size - left, path[:-1]))


def roots_of(older: int, newer: int, path: Sequence[bytes], known: bytes | None) -> tuple[bytes, bytes]:
    """Roots of both trees from a consistency proof: SUBPROOF of RFC 6962, 2.1.2. `known`: the older root, where the path leaves it out."""
    if older == newer:
        ends = list(path) if known is None else [known, *path]
        if len(ends) != 1:
            raise Wrong("the path has the wrong length")
        return ends[0], ends[0]
    if not path:
        raise Wrong("the path is too short")
    left = left_part(newer)
    if older <= left:
        old, new = roots_of(older, left, path[:-1], known)
        return old, sha256(1, new, path[-1])
    old, new = roots_of(older - left, newer - left, path[:-1], None)
    return sha256(1, path[-1], old), sha256(1, path[-1], new)


def left_part(size: int) -> int:
    """The largest power of two smaller than size."""
    return 1 << ((size - 1).bit_length() - 1)


def check_inclusion(proof: dict[str, Any], own: dict[str, Any] | None) -> str:
    seal, content = proof["seal"], proof["content"]
    check_seal(seal, own, "seal")
    leaf = sha256(0, content.encode())
    if leaf.hex() != proof["leaf_hash"]:
        raise Wrong("the content does not have the leaf hash that is stated")
    if root_of(leaf, proof["leaf_index"], seal["size"], unhexed(proof["path"])).hex() != seal["root"]:
        raise Wrong("the leaf and its path do not lead to the seal's root")
    entry = json.loads(content)
    if entry["tenant_id"] != seal["tenant_id"]:
        raise Wrong("the entry belongs to another tenant than the seal")
    return f"{entry['entry']} {entry['id']} is entry {proof['leaf_index']} of {described(seal)}, as it is in the proof."


def check_consistency(proof: dict[str, Any], own_older: dict[str, Any] | None, own_newer: dict[str, Any] | None) -> str:
    older, newer, path = proof["older"], proof["newer"], unhexed(proof["path"])
    check_seal(older, own_older, "older seal")
    check_seal(newer, own_newer, "newer seal")
    if older["tenant_id"] != newer["tenant_id"]:
        raise Wrong("the seals belong to different tenants")
    if older["n"] > newer["n"] or older["size"] > newer["size"]:
        raise Wrong("the older seal is not older")
    if older["size"] == 0:
        if path or older["root"] != hashlib.sha256(b"").hexdigest():
            raise Wrong("an empty ledger has another root, and needs no path")
    else:
        roots = roots_of(older["size"], newer["size"], path, bytes.fromhex(older["root"]))
        if [root.hex() for root in roots] != [older["root"], newer["root"]]:
            raise Wrong("the path does not lead from the older root to the newer one")
    return f"{described(newer)} begins with all {older['size']} entries of seal {older['n']}, unchanged and in the same order."


def described(seal: dict[str, Any]) -> str:
    return f"seal {seal['n']} of {seal['tenant_id']} ({seal['size']} entries, {seal['sealed_at']}, {seal['hash']})"


def unhexed(path: Sequence[str]) -> list[bytes]:
    parts = [bytes.fromhex(part) for part in path]
    if any(len(part) != 32 for part in parts):
        raise Wrong("a hash of the path has not 32 bytes")
    return parts


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
    if isinstance(found, dict) and {"code", "status", "title"} <= found.keys():
        raise ValueError(
            f"{name} is no proof but an error of the API: {found['status']} {found['code']}: {found.get('detail', found['title'])}"
        )
    return found


def kept(name: str | None) -> dict[str, Any] | None:
    return None if name is None else read(name)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checks proofs of a sealed ledger offline.")
    commands = parser.add_subparsers(dest="command", required=True)
    inclusion = commands.add_parser("inclusion", help="an entry is in the ledger of a seal")
    inclusion.add_argument("proof")
    inclusion.add_argument("--seal", help="the seal as you kept it")
    consistency = commands.add_parser("consistency", help="the ledger of a later seal took nothing back")
    consistency.add_argument("proof")
    consistency.add_argument("--older", help="the older seal as you kept it")
    consistency.add_argument("--newer", help="the newer seal as you kept it")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    try:
        proof = read(given.proof)
        if given.command == "inclusion":
            proven = check_inclusion(proof, kept(given.seal))
        else:
            proven = check_consistency(proof, kept(given.older), kept(given.newer))
    except Wrong as error:
        print(f"NOT PROVEN: {error}", file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"cannot be read: no proof of {given.command} with its seals, as the API answers them: there is no {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        print(f"cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"PROVEN: {proven}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
