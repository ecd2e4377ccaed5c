#!/bin/sh
# Trains, predicts and evaluates on the files beside this script; takes seconds.
# Models go into $NLPCLI_STORE, else ./models; a second run makes a second version.
set -eu
cd "$(dirname "$0")/.."
NLPCLI_STORE="${NLPCLI_STORE:-./models}"
export NLPCLI_STORE

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run nlpcli train-fasttext sample_data/reviews_en.csv -o reviews

printf '\n$ %s\n' 'nlpcli predict -m reviews < sample_data/new_messages.csv'
nlpcli predict -m reviews < sample_data/new_messages.csv

run nlpcli eval -m reviews sample_data/reviews_en_test.csv

run nlpcli train-fasttext sample_data/messages_zh.csv -o messages-zh
run nlpcli eval -m messages-zh sample_data/messages_zh_test.csv

run nlpcli models list
