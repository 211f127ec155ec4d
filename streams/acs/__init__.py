"""Azure Communication Services: the media socket, its authentication and its wire format."""
