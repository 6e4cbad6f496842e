"""The gateway's key as a user gives it: a flag, the environment, a prompt or standard input."""

import os
import re
import sys

#: Where the key is looked for if no flag gives it.
VARIABLE = "MAJORDOMO_API_KEY"

#: A gateway key has 50 characters; this leaves room for others' and for none that is a file read by mistake.
MAX_CHARACTERS = 512

_VISIBLE = re.compile(r"[\x21-\x7e]+")


class GatewayKeyError(Exception):
    """No key, or none that can be one. The message never repeats it."""


def checked(key: str) -> str:
    """The key without the white space that copying leaves around it.

    Raises:
        GatewayKeyError: when it cannot be a gateway's key.
    """
    key = key.strip()
    if not key:
        raise GatewayKeyError(f"no Majordomo key was given; use --api-key, {VARIABLE}, or type it when asked")
    if len(key) > MAX_CHARACTERS or not _VISIBLE.fullmatch(key):
        raise GatewayKeyError("the Majordomo key holds spaces or unusual characters, or is far too long; copy it anew")
    if key.startswith("sk-"):
        raise GatewayKeyError(
            "that is a provider's key; Majordomo's begins with mdm_sk_ and comes from `majordomo keys create`"
        )
    return key


def given_or_asked(flag: str | None) -> str:
    """The key from ``--api-key`` (``-`` means standard input), the environment, else by asking, else standard input.

    Raises:
        GatewayKeyError: when none of these has one.
    """
    if flag and flag != "-":
        return checked(flag)
    if not flag and (found := os.environ.get(VARIABLE)):
        return checked(found)
    if not flag and sys.stdin.isatty():
        import getpass

        return checked(getpass.getpass("Majordomo key (mdm_sk_..., not shown): "))
    return checked(sys.stdin.readline(MAX_CHARACTERS + 2))
