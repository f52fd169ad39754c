# C source with the insides of comments, strings and character constants blanked; lines stay lines. The file's name and
# the line number stand before each line.
FNR == 1 { state = "code" }
{
    out = ""
    n = length($0)
    for (i = 1; i <= n; i++) {
        c = substr($0, i, 1)
        two = substr($0, i, 2)
        if (state == "comment") {
            if (two == "*/") { state = "code"; i++ }
        } else if (state != "code") {
            if (c == "\\") i++
            else if (c == state) { state = "code"; out = out c }
        } else if (two == "/*") {
            state = "comment"
            i++
        } else {
            if (c == "\"" || c == "'") state = c
            out = out c
        }
    }
    print FILENAME ":" FNR ": " out
}
