"""Functions that hand what they are given to a database, a command or the file system, carefully or not.

Each task is a kind of sink and what it is about; the flawed twin joins text where the safe one passes values apart, or
opens any path where the safe one refuses to leave its folder.
"""

from __future__ import annotations

from typing import NamedTuple

from models.data.c_drawing import Draw
from models.data.generated_code.styles import drawn_function, drawn_name
from models.settings.languages import LanguageName


class SinkTask(NamedTuple):
    """What a function does.

    Args:
        kind: query, command or file.
        about: Table, program or folder.
        field: Column, option or ending.
    """

    kind: str
    about: str
    field: str

    @property
    def name(self) -> str:
        """Unique among all tasks."""
        return f"{self.kind}_{self.about}"


SINK_TASKS = (
    SinkTask("query", "users", "name"),
    SinkTask("query", "orders", "number"),
    SinkTask("query", "parts", "label"),
    SinkTask("query", "invoices", "city"),
    SinkTask("query", "sessions", "token"),
    SinkTask("command", "ping", "-c 1"),
    SinkTask("command", "gzip", "-k"),
    SinkTask("command", "convert", "-resize 64"),
    SinkTask("command", "whois", "-h"),
    SinkTask("command", "gpg", "--verify"),
    SinkTask("file", "reports", ".txt"),
    SinkTask("file", "avatars", ".png"),
    SinkTask("file", "themes", ".css"),
    SinkTask("file", "backups", ".tar"),
    SinkTask("file", "invitations", ".ics"),
)

_Pair = tuple[str, str]
"""Safe and flawed."""
_TEMPLATES: dict[str, dict[LanguageName, _Pair]] = {
    "query": {
        "python": (
            "def {f}({a}, {b}):\n    {c} = {a}.cursor()\n"
            '    {c}.execute("SELECT * FROM {about} WHERE {field} = ?", ({b},))\n    return {c}.fetchall()\n',
            "def {f}({a}, {b}):\n    {c} = {a}.cursor()\n"
            '    {c}.execute("SELECT * FROM {about} WHERE {field} = \'" + {b} + "\'")\n    return {c}.fetchall()\n',
        ),
        "java": (
            "public List<String> {f}(Connection {a}, String {b}) throws SQLException {{\n"
            '    PreparedStatement {c} = {a}.prepareStatement("SELECT * FROM {about} WHERE {field} = ?");\n'
            "    {c}.setString(1, {b});\n    return rows({c}.executeQuery());\n}}\n",
            "public List<String> {f}(Connection {a}, String {b}) throws SQLException {{\n"
            "    Statement {c} = {a}.createStatement();\n"
            '    return rows({c}.executeQuery("SELECT * FROM {about} WHERE {field} = \'" + {b} + "\'"));\n}}\n',
        ),
        "javascript": (
            "async function {f}({a}, {b}) {{\n"
            "  const {c} = await {a}.query('SELECT * FROM {about} WHERE {field} = $1', [{b}]);\n"
            "  return {c}.rows;\n}}\n",
            "async function {f}({a}, {b}) {{\n"
            "  const {c} = await {a}.query(`SELECT * FROM {about} WHERE {field} = '${{{b}}}'`);\n"
            "  return {c}.rows;\n}}\n",
        ),
        "go": (
            "func {f}({a} *sql.DB, {b} string) (*sql.Rows, error) {{\n"
            '\treturn {a}.Query("SELECT * FROM {about} WHERE {field} = ?", {b})\n}}\n',
            "func {f}({a} *sql.DB, {b} string) (*sql.Rows, error) {{\n"
            "\t{c} := fmt.Sprintf(\"SELECT * FROM {about} WHERE {field} = '%s'\", {b})\n\treturn {a}.Query({c})\n}}\n",
        ),
        "c": (
            "int {f}(sqlite3 *{a}, const char *{b}, sqlite3_stmt **{c})\n{{\n"
            '    if (sqlite3_prepare_v2({a}, "SELECT * FROM {about} WHERE {field} = ?", -1, {c}, NULL) != SQLITE_OK)\n'
            "        return -1;\n    return sqlite3_bind_text(*{c}, 1, {b}, -1, SQLITE_TRANSIENT);\n}}\n",
            "int {f}(sqlite3 *{a}, const char *{b}, sqlite3_stmt **{c})\n{{\n    char {d}[256];\n"
            "    sprintf({d}, \"SELECT * FROM {about} WHERE {field} = '%s'\", {b});\n"
            "    return sqlite3_prepare_v2({a}, {d}, -1, {c}, NULL);\n}}\n",
        ),
        "cpp": (
            "pqxx::result {f}(pqxx::work &{a}, const std::string &{b})\n{{\n"
            '    return {a}.exec_params("SELECT * FROM {about} WHERE {field} = $1", {b});\n}}\n',
            "pqxx::result {f}(pqxx::work &{a}, const std::string &{b})\n{{\n"
            '    std::string {c} = "SELECT * FROM {about} WHERE {field} = \'" + {b} + "\'";\n'
            "    return {a}.exec({c});\n}}\n",
        ),
    },
    "command": {
        "python": (
            'def {f}({a}):\n    {c} = subprocess.run(["{about}", *"{field}".split(), {a}], check=False)\n'
            "    return {c}.returncode\n",
            'def {f}({a}):\n    {c} = "{about} {field} " + {a}\n    return os.system({c})\n',
        ),
        "java": (
            "public static int {f}(String {a}) throws Exception {{\n"
            '    ProcessBuilder {c} = new ProcessBuilder("{about}", "{field}", {a});\n'
            "    return {c}.start().waitFor();\n}}\n",
            "public static int {f}(String {a}) throws Exception {{\n"
            '    String[] {c} = {{"sh", "-c", "{about} {field} " + {a}}};\n'
            "    return Runtime.getRuntime().exec({c}).waitFor();\n}}\n",
        ),
        "javascript": (
            "function {f}({a}, {b}) {{\n  const {c} = ['{field}', {a}];\n  execFile('{about}', {c}, {b});\n}}\n",
            "function {f}({a}, {b}) {{\n  const {c} = '{about} {field} ' + {a};\n  exec({c}, {b});\n}}\n",
        ),
        "go": (
            'func {f}({a} string) error {{\n\t{c} := exec.Command("{about}", "{field}", {a})\n\treturn {c}.Run()\n}}\n',
            'func {f}({a} string) error {{\n\t{c} := exec.Command("sh", "-c", "{about} {field} "+{a})\n'
            "\treturn {c}.Run()\n}}\n",
        ),
        "c": (
            "int {f}(const char *{a})\n{{\n    pid_t {c} = fork();\n    if ({c} == 0) {{\n"
            '        execlp("{about}", "{about}", "{field}", {a}, (char *) NULL);\n        _exit(127);\n    }}\n'
            "    return {c} < 0 ? -1 : 0;\n}}\n",
            'int {f}(const char *{a})\n{{\n    char {c}[512];\n    sprintf({c}, "{about} {field} %s", {a});\n'
            "    return system({c});\n}}\n",
        ),
        "cpp": (
            "int {f}(const std::string &{a})\n{{\n"
            '    std::vector<std::string> {c} = {{"{about}", "{field}", {a}}};\n    return spawn_and_wait({c});\n}}\n',
            "int {f}(const std::string &{a})\n{{\n"
            '    std::string {c} = "{about} {field} " + {a};\n    return std::system({c}.c_str());\n}}\n',
        ),
    },
    "file": {
        "python": (
            'def {f}({a}):\n    {c} = (Path("{about}") / ({a} + "{field}")).resolve()\n'
            '    if not {c}.is_relative_to(Path("{about}").resolve()):\n        raise ValueError({a})\n'
            "    return {c}.read_bytes()\n",
            'def {f}({a}):\n    {c} = Path("{about}") / ({a} + "{field}")\n    return {c}.read_bytes()\n',
        ),
        "java": (
            "public byte[] {f}(String {a}) throws IOException {{\n"
            '    Path {c} = Paths.get("{about}", {a} + "{field}").normalize();\n'
            '    if (!{c}.startsWith("{about}")) {{\n        throw new IOException({a});\n    }}\n'
            "    return Files.readAllBytes({c});\n}}\n",
            "public byte[] {f}(String {a}) throws IOException {{\n"
            '    Path {c} = Paths.get("{about}", {a} + "{field}");\n    return Files.readAllBytes({c});\n}}\n',
        ),
        "javascript": (
            "function {f}({a}) {{\n  const {c} = path.resolve('{about}', {a} + '{field}');\n"
            "  if (!{c}.startsWith(path.resolve('{about}') + path.sep)) {{\n    throw new Error({a});\n  }}\n"
            "  return fs.readFileSync({c});\n}}\n",
            "function {f}({a}) {{\n  const {c} = path.join('{about}', {a} + '{field}');\n"
            "  return fs.readFileSync({c});\n}}\n",
        ),
        "go": (
            "func {f}({a} string) ([]byte, error) {{\n"
            '\t{c} := filepath.Clean(filepath.Join("{about}", {a}+"{field}"))\n'
            '\tif !strings.HasPrefix({c}, "{about}/") {{\n\t\treturn nil, os.ErrPermission\n\t}}\n'
            "\treturn os.ReadFile({c})\n}}\n",
            'func {f}({a} string) ([]byte, error) {{\n\t{c} := filepath.Join("{about}", {a}+"{field}")\n'
            "\treturn os.ReadFile({c})\n}}\n",
        ),
        "c": (
            'FILE *{f}(const char *{a})\n{{\n    char {c}[256];\n    if (strstr({a}, "..") || strlen({a}) > 200)\n'
            '        return NULL;\n    snprintf({c}, sizeof({c}), "{about}/%s{field}", {a});\n'
            '    return fopen({c}, "rb");\n}}\n',
            'FILE *{f}(const char *{a})\n{{\n    char {c}[256];\n    sprintf({c}, "{about}/%s{field}", {a});\n'
            '    return fopen({c}, "rb");\n}}\n',
        ),
        "cpp": (
            "std::ifstream {f}(const std::string &{a})\n{{\n"
            '    auto {c} = fs::weakly_canonical(fs::path("{about}") / ({a} + "{field}"));\n'
            '    if ({c}.string().rfind(fs::canonical("{about}").string(), 0) != 0)\n'
            "        throw std::invalid_argument({a});\n    return std::ifstream({c}, std::ios::binary);\n}}\n",
            "std::ifstream {f}(const std::string &{a})\n{{\n"
            '    auto {c} = fs::path("{about}") / ({a} + "{field}");\n'
            "    return std::ifstream({c}, std::ios::binary);\n}}\n",
        ),
    },
}


class SinkStyle(NamedTuple):
    """Names and a comment; equal styles make twins that differ in the flaw alone."""

    function: str
    names: tuple[str, str, str, str]
    comment: str


def drawn_sink_style(draw: Draw, language: LanguageName) -> SinkStyle:
    """Names that say nothing of the task."""
    first, second, third, fourth = (drawn_name(draw, language) for _ in range(4))
    comment = draw.message() if draw.chance(0.5) else ""
    return SinkStyle(drawn_function(draw, language), (first, second, third, fourth), comment)


def render_sink(task: SinkTask, language: LanguageName, style: SinkStyle, *, flawed: bool) -> str:
    """The function's text, with a line break at its end."""
    first, second, third, fourth = style.names
    text = _TEMPLATES[task.kind][language][flawed].format(
        f=style.function, a=first, b=second, c=third, d=fourth, about=task.about, field=task.field
    )
    mark = "#" if language == "python" else "//"
    return f"{mark} {style.comment}\n{text}" if style.comment else text
