"""HTTP without URLs: bodies made in threads, byte ranges, error responses, static files.

streaming           response bodies made in export threads, one chunk ahead of the client
responses           Django responses over them
access              the user of a download, asked again while it runs
byte_ranges   PURE  the Range header (RFC 9110, section 14)
errors              exceptions -> JSON
static_files        hashed names for JavaScript modules
"""
