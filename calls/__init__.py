"""Recorded calls: rows, audio store, exports, REST, pages and the admin. Imports nothing of
`streams`, which records.

    models      tables and their query sets           identity    derived ids, kinds of raw ids
    audio       PURE: FLAC codec, levels, waveforms   storage     audio stores, deletion, checks
    export      audio files from segments             peaks       waveforms of calls
    http        byte ranges, streamed responses       api         REST
    live        dashboard: messages, view, socket     listen      listening in on live calls
    pages       call list, call page, zip downloads   admin       Django's admin and its overview
    management  check_recordings, delete_calls

To read the package in the direction of the data: models (each with its query set), export/plan,
export/rendering, export/export, http/responses, api/views, pages.
"""
