/** The location hash as `#view?key=value&…`; slashes stay readable. */
export interface HashState {
  view: string;
  params: Record<string, string>;
}

export function parseHash(hash: string): HashState {
  const [view = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return { view, params: Object.fromEntries(new URLSearchParams(query)) };
}

export function formatHash({ view, params }: HashState): string {
  const query = Object.entries(params)
    .map(([key, value]) => `${key}=${encodeURIComponent(value).replaceAll('%2F', '/')}`)
    .join('&');
  return `#${view}${query ? `?${query}` : ''}`;
}
