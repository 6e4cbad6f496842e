"""The commands of ``majordomo-companion`` that are tools around the proxy: one file per command."""
