/**
 * Text from an image, made safe to read: marks that turn the direction of writing round, or that cannot be
 * seen, stand there spelled out. Control characters do not come this far, the core spells them.
 */
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

/** More than this of a name is no name any more. */
const MOST = 2000;

export function visible(text: string): string {
  const spelled = text.replace(UNSEEN, (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`);
  return spelled.length > MOST ? `${spelled.slice(0, MOST)}…` : spelled;
}
