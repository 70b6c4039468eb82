#compdef buildsctl
# zsh completion for buildsctl: source <(buildsctl completion zsh), behind compinit; or a file _buildsctl in $fpath
_buildsctl() {
    local -a found whole open
    found=("${(@f)$(_BUILDSCTL_COMPLETE=zsh "${(Q)words[1]}" "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)}")
    [[ $PREFIX == --*=* ]] && compset -P 1 '*\='
    case $found[1] in
        file) _files ;;
        dir) _files -/ ;;
        words)
            shift found
            # What goes on behind a slash, or behind NAME=, gets no space.
            open=("${(@M)found:#*[=/]}") whole=("${(@)found:#*[=/]}")
            _describe -V buildsctl whole
            _describe -V buildsctl open -S ''
            ;;
    esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _buildsctl "$@"; else compdef _buildsctl buildsctl; fi
