/**
 * Names, link targets and xattr values are bytes. They cross to the core as text without loss: `\\` is a
 * backslash, `\xNN` a control character or a byte that is not UTF-8. People type plain text.
 */
export function byteText(typed: string): string {
  return typed.replace(/[\\\u0000-\u001f\u007f]/g, (c) => (c === '\\' ? '\\\\' : hex(c.charCodeAt(0))));
}

/** The bytes that a byte text stands for. */
export function bytesOf(text: string): Uint8Array {
  const out: number[] = [];
  const encoder = new TextEncoder();
  for (const part of text.split(/(\\\\|\\x[0-9a-fA-F]{2})/)) {
    if (part === '\\\\') out.push(0x5c);
    else if (/^\\x[0-9a-fA-F]{2}$/.test(part)) out.push(parseInt(part.slice(2), 16));
    else out.push(...encoder.encode(part));
  }
  return new Uint8Array(out);
}

/** What a person would type for it, so that editing and sending it back changes nothing. */
export function typedText(text: string): string {
  return text.replaceAll('\\\\', '\\');
}

/** The same of what may have several lines. */
export function typedLines(text: string): string {
  return text.replace(/\\\\|\\x0a/g, (part) => (part === '\\x0a' ? '\n' : '\\'));
}

function hex(code: number): string {
  return `\\x${code.toString(16).padStart(2, '0')}`;
}
