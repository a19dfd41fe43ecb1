/** In what an entry differs from the one it covers, in words. */
export function changesInWords(changed: string[]): string {
  const known = changed.filter((change) => change !== 'content_unread');
  const perhaps = known.length < changed.length ? 'perhaps other content' : '';
  return [known.length > 0 ? `other ${known.join(', ')}` : '', perhaps].filter(Boolean).join(', ');
}
