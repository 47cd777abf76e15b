"""HTTP with processes of this machine: as `httpx`, without TLS.

Reading the authorities that TLS would trust takes 40 ms of CPU for each request, and tests that wait for a process send thousands.
"""

from __future__ import annotations

from functools import partial

import httpx

request = partial(httpx.request, verify=False)
get = partial(httpx.get, verify=False)
post = partial(httpx.post, verify=False)
patch = partial(httpx.patch, verify=False)
