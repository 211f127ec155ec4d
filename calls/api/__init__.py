"""REST: recorded calls for machines.

    urls, views   one class per address
    parameters    query parameters of audio and peaks, and their validation
    filters       filters of the list of calls
    pagination    cursors
    naming        the name of a participant
    history/      events of a call, refused handshakes
    sending       audio: conditional requests and byte ranges
    schema, docs  the OpenAPI schema and its page

Representations are in `calls.serializers`, error responses in `calls.http.errors`.
"""
