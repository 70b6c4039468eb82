# bash completion for buildsctl, for bash 4.4 or later: source <(buildsctl completion bash)
_buildsctl() {
    local kind value
    COMPREPLY=()
    {
        read -r kind
        while IFS= read -r value; do COMPREPLY+=("$value"); done
    } < <(_BUILDSCTL_COMPLETE=bash "$1" "${COMP_LINE:0:COMP_POINT}" "$2" 2> /dev/null)
    case $kind in
        file) compopt -o default ;;
        dir) compopt -o dirnames ;;
    esac
    # What goes on behind a slash, or behind NAME=, gets no space.
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/] ]]; then compopt -o nospace; fi
}
complete -o nosort -F _buildsctl buildsctl
