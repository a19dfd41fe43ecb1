/** Bytes as the lines of a hex view: offset, pairs, the printable characters. */
export interface HexLine {
  offset: string;
  pairs: string;
  text: string;
}

export function hexLines(bytes: Uint8Array, start = 0, perLine = 8): HexLine[] {
  const lines: HexLine[] = [];
  for (let at = 0; at < bytes.length; at += perLine) {
    const row = [...bytes.subarray(at, at + perLine)];
    lines.push({
      offset: (start + at).toString(16).padStart(8, '0'),
      pairs: row.map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
      text: row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join(''),
    });
  }
  return lines;
}

/** The text that these bytes are, or null when they are not text that survives being edited. */
export function asText(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[\u0001-\u0008\u000b\u000e-\u001a\u001c-\u001f]/.test(text) ? null : text;
  } catch {
    return null;
  }
}
