#!/usr/bin/env bash
# Copies PostgreSQL's cluster, and deletes what is no longer needed once the copy is complete and verified.
#   $1 the directory of backups   $2 how many copies are kept
set -euo pipefail
umask 077
directory=$1 keep=$2
cd "$directory"

# Of one that was interrupted.
rm -rf new
pg_basebackup --no-password --checkpoint=fast --wal-method=stream --pgdata=new
# Every file by its checksum, and the log that makes the copy consistent.
pg_verifybackup --quiet new
# Named when it is complete: it restores any later moment.
name=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
mv new "$name"
printf 'complete: %s/%s\n' "$directory" "$name"

shopt -s nullglob
copies=(20*Z)
while ((${#copies[@]} > keep)); do
  rm -rf "${copies[0]}"
  printf 'deleted: %s/%s\n' "$directory" "${copies[0]}"
  copies=("${copies[@]:1}")
done
# START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
read -r _ _ _ _ _ first <"${copies[0]}/backup_label"
pg_archivecleanup wal "${first%)}"
