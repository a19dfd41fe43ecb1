/** Absolute paths inside a layer, as text. */
export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut <= 0 ? '/' : path.slice(0, cut);
}

export function nameOf(path: string): string {
  return path === '/' ? '/' : path.slice(path.lastIndexOf('/') + 1);
}

export function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** What a person typed as a path, made absolute; no other repair, the core judges it. */
export function absolute(typed: string): string {
  const path = typed.startsWith('/') ? typed : `/${typed}`;
  return path.length > 1 ? path.replace(/\/$/, '') : path;
}
