/** The location hash as `#view?key=value&…`; slashes stay readable. */
export interface HashState {
  view: string;
  params: Record<string, string>;
}

export function parseHash(hash: string): HashState {
  const [, view = '', query = ''] = /^#?\/?([^?]*)\??(.*)$/s.exec(hash) ?? [];
  return { view, params: Object.fromEntries(new URLSearchParams(query.replaceAll('+', '%2B'))) };
}

export function formatHash({ view, params }: HashState): string {
  const query = Object.entries(params)
    .map(([key, value]) => `${key}=${encodeURIComponent(value.toWellFormed()).replaceAll('%2F', '/')}`)
    .join('&');
  return `#${view}${query ? `?${query}` : ''}`;
}

/** How a value is written in an address. Null is not written, and what cannot be read is as if it were not there. */
export interface Codec<T> {
  format(value: T): string | null;
  parse(text: string | null): T;
}

export const text: Codec<string | null> = {
  format: (value) => value,
  parse: (value) => value,
};

export const natural: Codec<number | null> = {
  format: (value) => (value === null ? null : String(value)),
  parse: (value) => (value !== null && /^\d{1,15}$/.test(value) ? Number(value) : null),
};

/** One of a few words; `none` is what an address without it means, and is not written. */
export function oneOf<T extends string | null>(words: readonly T[], none: T): Codec<T> {
  return {
    format: (value) => (value === none ? null : value),
    parse: (value) => words.find((word) => word === value) ?? none,
  };
}
