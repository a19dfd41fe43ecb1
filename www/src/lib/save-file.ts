/** Hands a Blob to the browser's downloads under a name. */
export function saveFile(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The download has its own reference by then; a minute is for slow machines.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A name that every file system takes. */
export function fileName(wanted: string): string {
  return wanted.replace(/[^\w.+-]+/g, '-').replace(/^[.-]+|-+$/g, '') || 'handroll';
}
