/** Places as addresses: there and back, and what goes with what. */
import { describe, expect, it } from 'vitest';
import { arrive, formatPlace, HOME, parsePlace, type Place } from './address';

const there = (to: Partial<Place>) => arrive(HOME, to);

describe('addresses', () => {
  it.each<[Partial<Place>, string]>([
    [{}, '#stack?path=/hello.txt'],
    [{ look: 'through', find: 'a b', layer: 2 }, '#stack?look=through&find=a%20b&layer=2&path=/hello.txt'],
    [{ view: 'files', layer: 3, path: '/a b/ü?&=+%' }, '#files?layer=3&path=/a%20b/%C3%BC%3F%26%3D%2B%25'],
    [
      { view: 'documents', image: 4, node: 7, pointer: '/layers/0/digest', as: 'bytes' },
      '#documents?image=4&node=7&pointer=/layers/0/digest&as=bytes',
    ],
    [{ view: 'documents', document: 'index', path: null }, '#documents?doc=index'],
    [{ view: 'bytes', layer: 2, offset: 1536, field: 1636, path: null }, '#bytes?layer=2&at=1536&field=1636'],
    [
      { view: 'compare', before: { image: 1, layers: 0 }, after: { container: 2, step: 13 }, path: null },
      '#compare?before=1.0&after=c2.13',
    ],
    [{ view: 'machine', holds: 'sharing', start: 'demo', path: null }, '#machine?of=sharing&start=demo'],
    [{ view: 'check', finding: 0, page: 'layers', path: null }, '#check?finding=0&page=layers'],
  ])('%j is %s', (to, hash) => {
    const place = there(to);
    expect(formatPlace(place)).toBe(hash);
    expect(parsePlace(hash)).toEqual(place);
  });

  it('takes nonsense for nothing', () => {
    expect(parsePlace('#nowhere?layer=x&image=-1&at=1e9&as=html')).toEqual({ ...HOME, path: null });
    expect(parsePlace('')).toEqual(HOME);
  });

  it('another image has other layers, another node another document', () => {
    const place = there({ image: 1, layer: 2, offset: 512, field: 520, node: 3, pointer: '/a' });
    expect(arrive(place, { image: 2 })).toEqual({ ...HOME, image: 2, path: null });
    expect(arrive(place, { image: 2, layer: 9 }).layer).toBe(9);
    expect(arrive(place, { node: 4 })).toMatchObject({ node: 4, pointer: null, layer: 2, offset: 512 });
    expect(arrive(place, { image: 1, node: 3 })).toEqual(place);
    expect(arrive(place, { offset: 1024 }).field).toBe(null);
  });

  it('keeps what another view is about', () => {
    const place = there({ view: 'bytes', offset: 512 });
    expect(parsePlace(formatPlace({ ...place, view: 'files' }), place).offset).toBe(512);
  });
});
