"""The Django project: settings, URLs, the ASGI application, the servers that run it, monitoring."""
