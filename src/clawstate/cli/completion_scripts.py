"""What the shells are told: for each word they ask `clawstate completion --answer`."""

from __future__ import annotations

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
