#!/bin/sh
# One night: train on labelled.csv behind a gate, then predict new.csv with whatever model is good.
#
#   nightly.sh FOLDER
#
# FOLDER holds labelled.csv and new.csv, and gets predictions.csv, rejected.csv and models/. Nothing
# is printed while all is well, so cron mails only trouble. GATE is the macro F1 on a held-out tenth
# below which tonight's model is not served (default 0.6).
set -u
cd "$1" || exit 66
export NLPCLI_STORE="$PWD/models"
said=$(mktemp) || exit 73
trap 'rm -f "$said"' EXIT
worst=0

trouble() { # CODE MESSAGE: remember the code, tell what happened and what the program said
  worst=$1
  echo "nightly: $2 (exit $1)"
  cat "$said"
}

nlpcli train-fasttext labelled.csv -o night --quiet --resume --if-changed --keep 7 \
  --dev-fraction 0.1 --publish-if "macro_f1>=${GATE:-0.6}" >/dev/null 2>"$said"
case $? in
  0) ;;
  1) trouble 1 "tonight's model is refused; the one in use stays" ;;
  75) exit 0 ;; # another run is at work on this model: it does the rest
  *) trouble $? "no model tonight; the one in use stays" ;;
esac

nlpcli models verify >"$said" 2>&1 || trouble $? "a version in the store is damaged"

nlpcli predict -m night new.csv -o predictions.csv --quiet \
  --on-error skip --rejects rejected.csv 2>"$said" ||
  trouble $? "no predictions tonight; predictions.csv is as it was"

exit "$worst"
