/** The platform, and with it the sample's own program: it is there for two architectures. */
import type { ImageView } from '../core/protocol';
import { refusal, session } from './session.svelte';

export async function setPlatform({
  os,
  architecture,
  variant,
}: ImageView['config']['platform']): Promise<string | null> {
  const image = session.image?.id;
  if (image === undefined) return null;
  try {
    const action = await session.client.call({ kind: 'switch_platform', image, os, architecture, variant });
    return (await session.apply(action, 'The platform changed.'))?.message ?? null;
  } catch (error) {
    return refusal(error).message;
  }
}
