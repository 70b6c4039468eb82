# fish completion for buildsctl: buildsctl completion fish | source
function __buildsctl_looks
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l found (_BUILDSCTL_COMPLETE=fish $words[1] $words[2..-1] "$word" 2> /dev/null)
    set -g __buildsctl_found $found[2..-1]
    # Where files are wanted, the rule below does not hold, and fish offers those by itself.
    not contains -- "$found[1]" file dir
end
complete --command buildsctl --erase
complete --command buildsctl --condition __buildsctl_looks --no-files --arguments '$__buildsctl_found'
