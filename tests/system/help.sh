#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a program says of itself, its manual page and its completion name the same verbs, options, keys and exit codes, and
# the completion offers them where they belong.
. "$(dirname "$0")/../lib.bash"
BIN=${T_RELEASE:-$ROOT/build}/tools
COMPLETION=$ROOT/tools/completion/ctr

# A page as plain words: \- is -, and font changes are nothing.
page() { sed -e 's/\\-/-/g' -e 's/\\f[BIR]//g' -e 's/"//g' "$ROOT/docs/man/$1"; }

# The verbs of a program, one a line, from its own --help.
verbs() {
        case $1 in
        ctrctl) "$BIN/$1" --help | sed -n 's/^  ctrctl \([a-z]*\( [a-z]\+\)\?\).*/\1/p' | grep -v '^VERB' ;;
        ctrploop) "$BIN/$1" --help | sed -n 's/^  ctrploop \([a-z]*\) .*/\1/p' ;;
        esac
}

options() {
        {
                "$BIN/$1" --help
                [[ $1 == ctrctl || $1 == ctrploop ]] && verbs "$1" | while read -r v; do "$BIN/$1" $v --help; done
        } | grep -oE '(^|[ (])--[a-z][a-z0-9-]*' | tr -d ' (' | sort -u
}

test_program() {
        local word why="" text n=0 code
        text=$(page "$1.8")
        while read -r word; do
                [ -n "$word" ] || continue
                n=$((n + 1))
                grep -qwF -- "$1 $word" <<<"$text" || why+="the page lacks the verb $word; "
                grep -qwF -- "${word##* }" "$COMPLETION" || why+="the completion lacks the verb $word; "
        done < <(verbs "$1")
        [[ $1 == ctrmigrate || $1 == ctrmon || $n -gt 3 ]] || why+="--help shows no verbs; "
        n=0
        while read -r word; do
                n=$((n + 1))
                grep -qE -- "(^|[^a-z-])$word([^a-z-]|\$)" <<<"$text" || why+="the page lacks $word; "
                [ "$word" = --serve ] || grep -qE -- "[\" ]$word[\" ;)]" "$COMPLETION" || why+="the completion lacks $word; "
        done < <(options "$1")
        [[ $1 == ctrmon || $n -gt 2 ]] || why+="--help shows no options; "
        while read -r code word; do
                grep -qxF -- "$word" <<<"$text" && grep -qx ".B $code" <<<"$text" || why+="the page lacks exit code $code ($word); "
        done < <(sed -n 's/.*X([A-Z]*, \([0-9]*\), "\([^"]*\)").*/\1 \2/p' "$ROOT/base/exit.h" | tr -d '`')
        result "$1" "$why"
}

test_keys() {
        local key why="" n=0
        while read -r key; do
                n=$((n + 1))
                page ct.conf.5 | grep -qE "^\.BR? ([a-z0-9]+ , *)?${key#net.}( |\$)" || why+="ct.conf.5 lacks $key; "
                grep -qF -- "$key=" "$COMPLETION" || why+="the completion lacks $key; "
        done < <("$BIN/ctrctl" set --help | sed -n 's/^Keys: //p;s/^\(net\..*\)\. An.*/\1/p' | tr -d ' ' | tr , '\n' | grep .)
        [ $n -ge 14 ] || why+="--help of set shows $n keys; "
        for key in cgroup bridge idmap_range; do
                page node.conf.5 | grep -qx ".B $key" || why+="node.conf.5 lacks $key; "
        done
        result keys "$why"
}

# offer WANT WORD…: the last word is the one to be completed.
offer() {
        local want=$1 got
        shift
        got=$(bash -c '. "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ctr "$1"; echo "${COMPREPLY[*]}"' \
                _ "$COMPLETION" "$@")
        [ "$got" = "$want" ] || echo "'$*' offers '$got', not '$want'; "
}

test_offers() {
        local why=""
        why+=$(offer "create checkpoint" ctrctl c)
        why+=$(offer "show verify" ctrctl image "")
        why+=$(offer "--size --swap" ctrctl create web1 --s)
        why+=$(offer "" ctrctl create web1 --size "")
        why+=$(offer "net.ip4= net.ip6=" ctrctl set web1 net.ip)
        why+=$(offer "debian-12 debian-13" ctrctl template create --size 2G "")
        why+=$(offer "--keep-source" ctrmigrate web1 host2 --k)
        why+=$(offer "/etc" ctrploop mount a.img /et)
        result offers "$why"
}

for p in ctrctl ctrmigrate ctrploop ctrmon; do test_program $p; done
test_keys
test_offers
exit $FAILED
