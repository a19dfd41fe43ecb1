/** The rows of all tables in a Markdown text, each as its cells by the names of their columns. */
export function tableRows(text: string): Record<string, string>[] {
  const rows: Record<string, string>[] = [];
  let columns: string[] | null = null;
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) {
      columns = null;
      continue;
    }
    const cells = cellsOf(line);
    if (!columns) columns = cells;
    else if (!cells.every((cell) => /^:?-+:?$/.test(cell)))
      rows.push(Object.fromEntries(columns.map((name, i) => [name, cells[i] ?? ''])));
  }
  return rows;
}

/** What stands between the bars; an escaped bar is none. */
function cellsOf(line: string): string[] {
  return line
    .replace(/^\|/, '')
    .replace(/\|\s*$/, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}
