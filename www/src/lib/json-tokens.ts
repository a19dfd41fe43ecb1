/**
 * Cuts JSON text into tokens without changing a byte, and lays them out over lines on request. The text
 * stays the authority: no number is parsed and no key sorted.
 */
export type TokenType = 'key' | 'string' | 'number' | 'word' | 'mark' | 'space';
export interface Token {
  type: TokenType;
  text: string;
}

const TOKEN = /("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*)|(true|false|null)|([{}[\]:,])|(\s+)/gy;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const match = TOKEN.exec(text);
    if (!match) return [{ type: 'word', text }];
    const type: TokenType = match[1]
      ? 'string'
      : match[2]
        ? 'number'
        : match[3]
          ? 'word'
          : match[4]
            ? 'mark'
            : 'space';
    tokens.push({ type, text: match[0] });
  }
  tokens.forEach((token, i) => {
    if (token.type !== 'string') return;
    const next = tokens.slice(i + 1).find((t) => t.type !== 'space');
    if (next?.text === ':') token.type = 'key';
  });
  return tokens;
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
      depth -= 1;
      const previous = solid[i - 1]?.text;
      if (previous !== '{' && previous !== '[') end();
    }
    line.tokens.push(token);
    if (token.text === ':') line.tokens.push({ type: 'space', text: ' ' });
    if (opens) {
      depth += 1;
      if (next !== '}' && next !== ']') end();
    }
    if (token.text === ',') end();
  });
  if (line.tokens.length) lines.push(line);
  return lines;
}
