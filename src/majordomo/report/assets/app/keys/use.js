// What to paste so that a gateway key is used.

// Claude Code's settings.json; `key`: the secret, or a stand-in for it.
export function claudeSettings(key) {
  const env = {
    ANTHROPIC_BASE_URL: location.origin,
    ANTHROPIC_CUSTOM_HEADERS: `X-Majordomo-Key: ${key}\nX-Majordomo-Client: claude-code`,
    ENABLE_TOOL_SEARCH: "true",
  };
  return JSON.stringify({ env }, null, 2);
}
