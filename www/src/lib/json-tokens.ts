/**
 * Cuts JSON text into tokens without changing a byte, and lays them out over lines on request. The text
 * stays the authority: no number is parsed and no key sorted. Every token knows the RFC 6901 pointer of the
 * value that it belongs to.
 */
export type TokenType = 'key' | 'string' | 'number' | 'word' | 'mark' | 'space';
export interface Token {
  type: TokenType;
  text: string;
  pointer: string;
}

const TOKEN = /("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)|(true|false|null)|([{}[\]:,])|(\s+)/gy;

/** From where it is no JSON it is one word, as it stands. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) {
      tokens.push({ type: 'word', text: text.slice(from), pointer: '' });
      break;
    }
    const type: TokenType = match[1]
      ? 'string'
      : match[2]
        ? 'number'
        : match[3]
          ? 'word'
          : match[4]
            ? 'mark'
            : 'space';
    tokens.push({ type, text: match[0], pointer: '' });
  }
  findKeys(tokens);
  point(tokens);
  return tokens;
}

/** A string before a colon is a key. */
function findKeys(tokens: Token[]): void {
  let last: Token | null = null;
  for (const token of tokens) {
    if (token.text === ':' && last?.type === 'string') last.type = 'key';
    if (token.type !== 'space') last = token;
  }
}

function point(tokens: Token[]): void {
  /** Of the values around: their pointer, and in an array how far it has come. */
  const around: { pointer: string; index: number | null; key: string }[] = [];
  for (const token of tokens) {
    const inside = around.at(-1);
    if (token.type === 'key' && inside) inside.key = unquote(token.text);
    if (token.text === ',' && inside?.index != null) inside.index++;
    const closes = token.text === '}' || token.text === ']';
    if (closes) token.pointer = around.pop()?.pointer ?? '';
    else if (inside)
      token.pointer = `${inside.pointer}/${inside.index ?? inside.key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    if (token.text === '{') around.push({ pointer: token.pointer, index: null, key: '' });
    if (token.text === '[') around.push({ pointer: token.pointer, index: 0, key: '' });
  }
}

/** The text that a JSON string stands for; itself where it is none. */
export function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}

/** One line of a document. */
export interface Line {
  indent: number;
  tokens: Token[];
}

export function prettyLines(tokens: Token[]): Line[] {
  const lines: Line[] = [];
  let line: Line = { indent: 0, tokens: [] };
  let depth = 0;
  const end = () => {
    lines.push(line);
    line = { indent: depth, tokens: [] };
  };
  const solid = tokens.filter((token) => token.type !== 'space');
  solid.forEach((token, i) => {
    const next = solid[i + 1]?.text;
    const opens = token.text === '{' || token.text === '[';
    const closes = token.text === '}' || token.text === ']';
    if (closes) {
      depth = Math.max(0, depth - 1);
      const previous = solid[i - 1]?.text;
      if (previous !== '{' && previous !== '[') end();
      line.indent = depth;
    }
    line.tokens.push(token);
    if (token.text === ':') line.tokens.push({ type: 'space', text: ' ', pointer: token.pointer });
    if (opens) {
      depth += 1;
      if (next !== '}' && next !== ']') end();
    }
    if (token.text === ',') end();
  });
  if (line.tokens.length) lines.push(line);
  return lines;
}
