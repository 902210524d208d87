"""`vigo completion`: the lines that teach a shell to complete vigo's commands, flags and names."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from vigo.cli.examples import examples

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_BASH = r"""_vigo() {
    local IFS=$'\n'
    COMPREPLY=($(command vigo --complete bash "$2" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o bashdefault -o default -F _vigo vigo vigocli
"""
_ZSH = r"""#compdef vigo vigocli
_vigo() {
    local -a found
    found=(${(f)"$(command vigo --complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"})
    if (( ! ${#found} )); then _files; return; fi
    compadd -S '' -- ${(M)found:#*=}
    compadd -- ${found:#*=}
}
if [[ ${funcstack[1]} == _vigo ]]; then _vigo "$@"; else compdef _vigo vigo vigocli; fi
"""
_FISH = r"""function __vigo_complete
    set -l words (commandline -opc) (commandline -ct)
    command vigo --complete fish $words[2..-1] 2>/dev/null
end
complete -c vigo -a '(__vigo_complete)'
complete -c vigocli -w vigo
"""


class Shell(StrEnum):
    """Shells that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command(epilog=examples("completion"))
def completion(shell: Annotated[Shell, typer.Argument(help="The shell that reads the script.")]) -> int:
    """Print a script that makes a shell complete commands, flags, targets, task names and run ids."""
    typer.echo({Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}[shell], nl=False)
    return 0
