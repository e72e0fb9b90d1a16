"""
The noun `completion`: nouns, verbs, options and names for the Tab key of a shell.

The scripts ask `clawstate completion --answer` for each word.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
from click.shell_completion import CompletionItem, ShellComplete

from clawstate.cli.command import Command, pass_session
from clawstate.cli.printing import inline
from clawstate.cli.session import Session
from clawstate.errors import StateError

_LONGEST = 80  # characters of an explanation beside a word


@click.command(
    cls=Command,
    examples=(
        'eval "$(clawstate completion bash)"',
        'eval "$(clawstate completion zsh)"',
        "clawstate completion fish | source",
    ),
)
@click.option("--answer", is_flag=True, hidden=True, help="Print what can follow the WORDS.")
@click.argument("words", metavar="bash|zsh|fish", nargs=-1, type=click.UNPROCESSED)
@pass_session
def completion(session: Session, /, words: tuple[str, ...], *, answer: bool) -> None:
    """
    Print a script that lets the Tab key of a shell complete clawstate.

    It completes nouns, verbs and options, and names that are kept: keys of the configuration and of
    sessions, ids of profiles and devices, codes.

    Put the first example into ~/.bashrc, the second into ~/.zshrc, or the third into
    ~/.config/fish/config.fish.
    """
    if answer:
        for item in _answers(session, words):
            explained = inline(item.help or "")[:_LONGEST]
            session.output.value(f"{item.type}\t{item.value}\t{explained}")
        return
    if len(words) != 1 or words[0] not in SCRIPTS:
        raise click.UsageError("name one shell: bash, zsh or fish")
    session.output.emit({"script": SCRIPTS[words[0]]}, *SCRIPTS[words[0]].splitlines())


def _answers(session: Session, words: tuple[str, ...]) -> Iterator[CompletionItem[str]]:
    """Yield the candidates for the last of *words*; none if they cannot be read."""
    from clawstate.cli.main import root  # noqa: PLC0415 - that is the command above this one

    shell = ShellComplete(root, {"obj": session}, "clawstate", "")
    *before, current = words or ("",)
    try:
        yield from shell.get_completions(before, current)
    except (click.ClickException, StateError, OSError):
        return


BASH = r"""# Completion of clawstate for bash, also the 3.2 of macOS:
#   eval "$(clawstate completion bash)"
_clawstate() {
    local line=${COMP_LINE:0:COMP_POINT} current kept kind value help
    local -a words
    read -a words <<< "$line"
    case $line in *[[:space:]]) words+=("") ;; esac
    current=${words[${#words[@]}-1]}
    # bash completes only what stands behind the last of these
    kept=""
    case $COMP_WORDBREAKS in *:*) kept=${current%"${current##*[:=]}"} ;; esac
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) COMPREPLY+=("${value#"$kept"}") ;;
            dir) compopt -o filenames 2>/dev/null
                 while IFS= read -r value; do COMPREPLY+=("$value"); done \
                     < <(compgen -d -- "${current#"$kept"}") ;;
            file) compopt -o filenames 2>/dev/null
                  while IFS= read -r value; do COMPREPLY+=("$value"); done \
                      < <(compgen -f -- "${current#"$kept"}") ;;
        esac
    done < <("$1" completion --answer -- "${words[@]:1}" 2>/dev/null)
}
complete -o nosort -F _clawstate clawstate 2>/dev/null || complete -F _clawstate clawstate
"""

ZSH = r"""#compdef clawstate
# Completion of clawstate for zsh: eval "$(clawstate completion zsh)", or this text as the file
# _clawstate in a directory of $fpath.
_clawstate() {
    local kind value help
    local -a plain told
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain)
                if [[ -n $help ]]; then
                    told+=("${value//:/\\:}:$help")
                else
                    plain+=("$value")
                fi ;;
            dir) _path_files -/ ;;
            file) _path_files ;;
        esac
    done < <("${words[1]}" completion --answer -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" \
        2>/dev/null)
    (( $#told )) && _describe -V 'clawstate' told
    (( $#plain )) && compadd -V clawstate -a plain
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _clawstate "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -D }
    compdef _clawstate clawstate
fi
"""

FISH = r"""# Completion of clawstate for fish: clawstate completion fish | source
function __clawstate_answers
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program completion --answer -- $words "$current" 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case plain
                printf '%s\t%s\n' $parts[2] "$parts[3]"
            case dir
                __fish_complete_directories "$current"
            case file
                __fish_complete_path "$current"
        end
    end
end
complete --no-files --command clawstate --arguments '(__clawstate_answers)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
