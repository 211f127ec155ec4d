-- A year of calls, evenly spread; their number is bench.calls. All is derived from the number
-- of the call.

CREATE UNLOGGED TABLE shelf AS
SELECT n, md5('call' || n)::uuid AS call_id, md5('caller' || n)::uuid AS caller_id,
       md5('agent' || n)::uuid AS agent_id, md5('socket' || n)::uuid AS subscription_id, started_at,
       CASE WHEN n % 1000 = 0 THEN 60 ELSE 5 + n * 7919 % 41 END AS segments,
       floor(extract(epoch FROM started_at) * 16000)::bigint AS start_sample
FROM generate_series(1, current_setting('bench.calls')::int) AS n,
     LATERAL (SELECT now() - interval '15 minutes' - interval '365 days'
              * (1 - n::float8 / current_setting('bench.calls')::int)) AS moments (started_at);

INSERT INTO calls_call (id, call_connection_id, correlation_id, started_at)
SELECT call_id, md5('connection' || n)::uuid::text, md5('correlation' || n)::uuid::text, started_at
FROM shelf;

INSERT INTO calls_subscription (id, call_id, stream_id, subscription_id, encoding, sample_rate,
    channels, length, connected_at, seen_at, disconnected_at, close_code, audio, dtmf, unknown,
    malformed, duplicate, late)
SELECT subscription_id, call_id, md5('stream' || n)::uuid, md5('subscription' || n)::uuid::text,
    'PCM', 16000, 1, 640, started_at, ended_at, CASE WHEN n % 100 = 99 THEN NULL ELSE ended_at END,
    CASE WHEN n % 100 = 99 THEN NULL WHEN n % 50 = 7 THEN 1006 ELSE 1000 END, segments * 1000,
    n % 3, 0, 0, 0, n % 7
FROM (SELECT *, started_at + segments * interval '10 seconds' AS ended_at FROM shelf) AS ending;

INSERT INTO calls_participant (id, call_id, raw_id, kind, display_name, heard_at, heard_until)
SELECT id, call_id, raw_id, kind, name, started_at, started_at + segments * interval '10 seconds'
FROM shelf, LATERAL (VALUES
    (caller_id, 'phone', '4:+49' || 1500000000 + n * 48271::bigint % 60000 * 7793, ''),
    (agent_id, 'acs',
     '8:acs:3d20e1de-0f28-41c5-84a0-4960fde5f411_' || md5('user' || n % 200)::uuid,
     CASE WHEN n % 200 < 60 THEN 'Agent ' || n % 200 ELSE '' END)
) AS voices (id, kind, raw_id, name);

INSERT INTO calls_segment (id, participant_id, subscription_id, journal, start_sample, sample_count,
    sample_rate, sha256, peak_dbfs, rms_dbfs, audio_name, stored_bytes, sealed_at, peaks)
SELECT md5(voice || ':' || i)::uuid, voice, subscription_id, i, start_sample + i * 160000,
    160000, 16000, md5(voice::text) || md5(i::text), -6.0, -21.5,
    call_id || '/' || voice || '/' || start_sample + i * 160000 || '-' || left(md5(i::text), 16)
        || '.flac',
    90000, started_at + (i + 1) * interval '10 seconds',
    decode(repeat(md5(voice || ':' || i), 12), 'hex') || '\x0102030405060708'
FROM shelf, LATERAL (VALUES (caller_id), (agent_id)) AS voices (voice),
    generate_series(0, segments - 1) AS i;

INSERT INTO calls_ledgerentry (id, call_id, participant_id, subscription_id, kind, reason,
    started_at, ended_at, start_sample, sample_count, sample_rate, detail)
SELECT gen_random_uuid(), call_id, caller_id, subscription_id, kind, reason,
    started_at + interval '5 seconds', started_at + interval '6 seconds', start_sample + 80000,
    16000, 16000, '{}'::jsonb
FROM shelf, LATERAL (VALUES
    ('gap', 'not_received', n % 3), ('dtmf', '', n % 2), ('reconnect', '', n % 50)
) AS entries (kind, reason, remainder) WHERE remainder = 0;

INSERT INTO calls_callcoverage (id, call_connection_id, correlation_id, call_id, started_at,
    ended_at, verdict, expected_seconds, recorded_seconds, missing_seconds, participants_expected,
    participants_recorded, facts, judged_at)
SELECT md5('coverage' || n)::uuid, md5('connection' || n)::uuid::text,
    md5('correlation' || n)::uuid::text, call_id, started_at,
    started_at + segments * interval '10 seconds',
    CASE WHEN n % 50 = 0 THEN 'partial' WHEN n % 997 = 0 THEN 'missing' ELSE 'complete' END,
    segments * 10, segments * 10 - lost, lost, 2, 2,
    jsonb_build_object('basis', 'events', 'recordings', 1, 'witnesses', repeat(md5(n::text), 15)),
    started_at + segments * interval '10 seconds' + interval '2 minutes'
FROM shelf, LATERAL (SELECT CASE WHEN n % 50 = 0 THEN 5.0 WHEN n % 997 = 0 THEN segments * 10.0
    ELSE 0.0 END AS lost) AS missing;

INSERT INTO calls_missingtime (coverage_id, reason, started_at, ended_at, seconds)
SELECT id, CASE verdict WHEN 'missing' THEN 'never_streamed' ELSE 'not_received' END, started_at,
    started_at + missing_seconds * interval '1 second', missing_seconds
FROM calls_callcoverage WHERE verdict <> 'complete';

DROP TABLE shelf;
