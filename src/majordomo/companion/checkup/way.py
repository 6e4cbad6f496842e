"""The way of Claude Code's requests to the gateway, as its variables say it. Nothing is sent."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from majordomo.checkup.finding import Finding, fail, ok, warn
from majordomo.companion import custom_headers, gateway_key, gateway_url
from majordomo.companion.checkup.surroundings import SHELL, Surroundings
from majordomo.companion.claude_child import ANTHROPIC, CLOUDS
from majordomo.companion.gateway_key import GatewayKeyError
from majordomo.companion.gateway_url import GatewayUrlError
from majordomo.companion.settings_entry import BASE_URL, TOOL_SEARCH

_PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_NO_PROXY = ("NO_PROXY", "no_proxy")
_SOCKET = "ANTHROPIC_UNIX_SOCKET"
_TRUE = ("1", "true", "yes", "on")


def base_url(around: Surroundings) -> Iterator[Finding]:
    """Where requests go, and whether that is what was asked for."""
    url = around.base_url
    if url is None:
        yield warn(
            "base URL",
            f"{BASE_URL} is set nowhere: a plain `claude` asks Anthropic, past the gateway",
            "start it with `majordomo-companion exec -- claude`, or run `majordomo-companion setup` once",
        )
        return
    yield from _one_place(around, BASE_URL, "base URL")
    origin = around.given(BASE_URL)[-1].origin
    try:
        gateway_url.checked(url)
    except GatewayUrlError as wrong:
        yield fail("base URL", f"{BASE_URL} from {origin} cannot work: {wrong}", f"correct it in {origin}")
        return
    if urlsplit(url).hostname == urlsplit(ANTHROPIC).hostname:
        yield fail(
            "base URL", f"{origin} sends requests straight to Anthropic, past the gateway", f"take {BASE_URL} out there"
        )
    elif gateway_url.in_the_clear(url):
        yield warn(
            "base URL",
            f"{url} (from {origin}) is not encrypted: keys and prompts can be read on the way",
            "use https://, if the gateway has it",
        )
    else:
        yield ok("base URL", f"{url}, from {origin}")


def _one_place(around: Surroundings, name: str, check: str) -> Iterator[Finding]:
    """A variable that two places give: they do not merge, and the settings beat the shell."""
    given = around.given(name)
    losers = [setting for setting in given[:-1] if setting.value != given[-1].value]
    if not losers:
        return
    where = " and ".join(setting.origin for setting in losers)
    message = f"{name} is set in {where} and again in {given[-1].origin}, which alone counts: the values do not merge"
    advice = f"keep it in one place; to use the other, take {name} out of {given[-1].origin}"
    if any(setting.origin == SHELL for setting in losers):
        yield fail(check, message, f"{advice} (`majordomo-companion exec` gets past it without that)")
    else:
        yield warn(check, message, advice)


def headers(around: Surroundings) -> Iterator[Finding]:
    """Whether the gateway's key and Claude Code's mark go with each request."""
    text = around.value(custom_headers.VARIABLE)
    needed = around.base_url is not None and not _leads_to_companion(around)
    if text is None:
        if needed:
            yield fail(
                "headers",
                f"{custom_headers.VARIABLE} is set nowhere: the gateway refuses requests without a key",
                "run `majordomo-companion setup`, or start with `majordomo-companion exec -- claude`",
            )
        return
    yield from _one_place(around, custom_headers.VARIABLE, "headers")
    origin = around.given(custom_headers.VARIABLE)[-1].origin
    mistakes = custom_headers.mistakes(text)
    for mistake in mistakes:
        yield fail(
            "headers",
            f"{custom_headers.VARIABLE} from {origin} {mistake}",
            "one header per line: \"\\n\" ends a line in a settings file; in a shell, write $'...\\n...'",
        )
    key = around.key
    if key is None and needed:
        yield fail(
            "headers",
            f"no {custom_headers.KEY} in {origin}: the gateway refuses requests",
            "run `majordomo-companion setup`",
        )
    elif key is not None:
        try:
            gateway_key.checked(key)
        except GatewayKeyError as wrong:
            yield fail("headers", f"{custom_headers.KEY} in {origin}: {wrong}", f"correct it in {origin}")
            return
    client = custom_headers.value_of(around.headers, custom_headers.CLIENT)
    if client != custom_headers.CLIENT_NAME and (needed or key is not None):
        yield warn(
            "headers",
            f"no {custom_headers.CLIENT}: {custom_headers.CLIENT_NAME} in {origin}: "
            "requests are recorded, their details (tools, thinking, plan mode) are not",
            "run `majordomo-companion setup`, or add the header",
        )
    elif not mistakes and (needed or key is not None):
        ours = sorted(header.name for header in around.headers if header.ours)
        yield ok("headers", f"{', '.join(ours)}, from {origin}")


def _leads_to_companion(around: Surroundings) -> bool:
    """A companion's own address, as its env file sets it, needs no key. It is loopback, and not the gateway's port."""
    given = around.given(BASE_URL)
    parts = urlsplit(given[-1].value)
    try:
        port = parts.port
    except ValueError:
        return False
    usual = urlsplit(gateway_url.DEFAULT).port
    return given[-1].origin == SHELL and gateway_url.is_loopback(parts.hostname or "") and port != usual


def proxies(around: Surroundings) -> Iterator[Finding]:
    """A proxy that stands before loopback, too, unless told otherwise; and a socket that goes before everything."""
    if around.value(_SOCKET):
        origin = around.given(_SOCKET)[-1].origin
        yield fail("proxy", f"{_SOCKET} is set in {origin}: every request goes into that socket", "take it out")
    names = [name for name in _PROXIES if around.value(name)]
    host = urlsplit(around.base_url or gateway_url.DEFAULT).hostname or ""
    if not names or not gateway_url.is_loopback(host):
        if names:
            yield ok("proxy", f"requests to {host} go through the proxy of {names[0]}, unless NO_PROXY excepts it")
        return
    excepted = [part.strip().lower() for name in _NO_PROXY for part in (around.value(name) or "").split(",")]
    if host.lower() in excepted or "*" in excepted:
        yield ok("proxy", f"{names[0]} is set, and NO_PROXY excepts {host}")
        return
    yield fail(
        "proxy",
        f"{names[0]} is set, and Claude Code uses it for {host}, too: its requests go to the proxy, not to the gateway",
        f"set NO_PROXY=127.0.0.1,localhost where {names[0]} is set ({around.given(names[0])[-1].origin}); "
        "`majordomo-companion exec` does so itself",
    )


def clouds(around: Surroundings) -> Iterator[Finding]:
    """A cloud's own way to the models, which knows nothing of the base URL."""
    for cloud in CLOUDS:
        given = around.given(cloud.switch)
        if not given or given[-1].value.strip().lower() not in _TRUE:
            continue
        message = f"{cloud.switch} is set in {given[-1].origin}: requests go to {cloud.name}, and {BASE_URL} is ignored"
        advice = (
            f"start with `majordomo-companion exec -- claude`, which sets {cloud.base_url}"
            if cloud.speaks_messages
            else "take it out to use the gateway: requests signed for the cloud cannot be metered on their way"
        )
        yield fail("cloud", message, advice)


def sign_in(around: Surroundings) -> Iterator[Finding]:
    """Who pays. Only whether a credential is there is looked at."""
    key, token = around.given("ANTHROPIC_API_KEY"), around.given("ANTHROPIC_AUTH_TOKEN")
    oauth = bool(around.given("CLAUDE_CODE_OAUTH_TOKEN")) or _has_account(around)
    if key and oauth:
        yield warn(
            "sign-in",
            f"ANTHROPIC_API_KEY ({key[-1].origin}) is set beside a subscription's login: it is the key that is billed",
            "take one of them out, if that is not what you want",
        )
    elif key and token:
        yield warn("sign-in", "ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN are both sent", "take one of them out")
    elif key or token:
        yield ok("sign-in", f"with {'ANTHROPIC_API_KEY' if key else 'ANTHROPIC_AUTH_TOKEN'}, billed by tokens")
    elif oauth:
        yield ok("sign-in", "with a subscription: what is shown as cost is what the tokens would have cost")
    else:
        yield ok("sign-in", "nothing set here; Claude Code asks, or a proxy key of the gateway stands in")


def _has_account(around: Surroundings) -> bool:
    from majordomo.companion.claude_files import MAX_STATE_BYTES, ClaudeFileError, config_dir, read_object, state_file

    if (config_dir(around.environment, around.home) / ".credentials.json").exists():
        return True
    try:
        return bool(read_object(state_file(around.environment, around.home), MAX_STATE_BYTES).get("oauthAccount"))
    except ClaudeFileError:
        return False


def tool_search(around: Surroundings) -> Iterator[Finding]:
    """Whether requests have become larger because a gateway is in between."""
    url = around.base_url
    if url is None or urlsplit(url).hostname == urlsplit(ANTHROPIC).hostname:
        return
    if (around.value(TOOL_SEARCH) or "").strip().lower() in ("", "0", "false", "no", "off"):
        yield warn(
            "tool search",
            f"{TOOL_SEARCH} is not set: with a base URL of its own, Claude Code sends all tools with each request, "
            "76 KB instead of 48",
            f"set {TOOL_SEARCH}=true beside {BASE_URL}; `majordomo-companion setup` and `exec` do so",
        )
    else:
        yield ok("tool search", "on: requests are no larger than without a gateway")
