"""REST: recorded calls for machines.

    urls, views   one class per address
    parameters    query parameters of audio and peaks, and their validation
    filters       filters of the list of calls
    pagination    cursors
    sending       audio: conditional requests and byte ranges
    schema, docs  the OpenAPI schema and its page

Representations are in `calls.serializers`, error responses in `calls.http.errors`.
"""
