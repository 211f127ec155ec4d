# Creates the bucket, and the access key of acsmedia, which may use only this bucket. Repeating it
# changes nothing, or sets a new secret.
set -eu
key=${S3_ACCESS_KEY_ID:-} secret=${S3_SECRET_ACCESS_KEY:-}
[ -z "${S3_ACCESS_KEY_ID_FILE:-}" ] || key=$(cat "$S3_ACCESS_KEY_ID_FILE")
[ -z "${S3_SECRET_ACCESS_KEY_FILE:-}" ] || secret=$(cat "$S3_SECRET_ACCESS_KEY_FILE")
if [ -z "$key" ] || [ -z "$secret" ]; then
    echo "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY in .env: a new key is made of them" >&2
    exit 1
fi
policy=$(mktemp)
cat > "$policy" <<POLICY
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"],
      "Resource": ["arn:aws:s3:::$S3_BUCKET/*"]
    },
    {
      "Effect": "Allow",
      "Action": ["s3:ListBucket"],
      "Resource": ["arn:aws:s3:::$S3_BUCKET"]
    }
  ]
}
POLICY
mc alias set objects "${MINIO_URL:-http://objects:9000}" "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
mc mb --ignore-existing "objects/$S3_BUCKET"
mc admin policy create objects acsmedia "$policy"
mc admin user add objects "$key" "$secret"
# fails if the key has the policy already
mc admin policy attach objects acsmedia --user "$key" ||
    mc admin policy entities objects --user "$key" | grep -q acsmedia
