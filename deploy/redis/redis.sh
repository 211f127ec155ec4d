# Runs Redis with the password of REDIS_PASSWORD or REDIS_PASSWORD_FILE (`serve`), or asks whether
# it answers (`ping`). The password is in no command line, which every user of the host can read.
set -eu
password=${REDIS_PASSWORD:-}
[ -z "${REDIS_PASSWORD_FILE:-}" ] || password=$(cat "$REDIS_PASSWORD_FILE")
if [ -z "$password" ]; then
    echo "set REDIS_PASSWORD or REDIS_PASSWORD_FILE in .env" >&2
    exit 1
fi
case $1 in
    serve)
        # quoted as redis.conf requires; live updates need not be kept
        quoted=$(printf '%s' "$password" | sed 's/[\\"]/\\&/g')
        printf 'requirepass "%s"\nsave ""\nappendonly no\nprotected-mode yes\nbind * -::*\n' \
            "$quoted" | exec redis-server - ;;
    ping)
        [ "$(REDISCLI_AUTH=$password redis-cli ping)" = PONG ] ;;
esac
