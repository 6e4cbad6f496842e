"""Questions about usage as tools of the Model Context Protocol, answered by a gateway's control API."""
