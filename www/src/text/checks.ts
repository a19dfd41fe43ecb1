/** What the ids of findings mean: the paragraphs of docs/checks.md under the heading of that id. */
/** Bundled as text, so that page and documentation say the same. */
const [source = ''] = Object.values(
  import.meta.glob<string>('../../../docs/checks.md', { query: '?raw', import: 'default', eager: true }),
);

const sections = new Map<string, string[]>();
for (const section of source.split(/^#+ +/m).slice(1)) {
  const [heading = '', ...body] = section.split('\n');
  const paragraphs = body
    .join('\n')
    .split(/\n\s*\n/)
    .map((paragraph) => plain(paragraph))
    .filter(Boolean);
  sections.set(heading.replaceAll('`', '').trim(), paragraphs);
}

/** Markdown as text: what is in backticks, bold or a link stands there as it is. */
function plain(markdown: string): string {
  return markdown
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

export function explanation(id: string): string[] {
  return sections.get(id) ?? [];
}
