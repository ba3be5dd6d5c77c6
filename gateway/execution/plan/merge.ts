export type JsonObject = Record<string, unknown>;

/** Whether every object has a property of this name without having it itself. */
export const isInherited = (name: string): boolean => name in Object.prototype;

/** Reads a property of an object's own. Few names are inherited by every object: only those have to be looked at twice. */
export function readOwn(name: string): (from: JsonObject) => unknown {
  return isInherited(name) ? (from) => (Object.hasOwn(from, name) ? from[name] : undefined) : (from) => from[name];
}

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null;

/** Takes the fields of `source` over into `target`, object by object, and lists of one length entry by entry. */
export function mergeInto(target: JsonObject, source: JsonObject): void {
  for (const key of Object.keys(source)) {
    const given = source[key];
    const known = target[key];
    // The same where an entity stands in several places: it was merged there already.
    if (given === undefined || given === known) continue;
    if (!isObject(known) || !isObject(given)) target[key] = given;
    else if (!Array.isArray(given)) mergeInto(known, given);
    else if (Array.isArray(known) && known.length === given.length) mergeLists(known, given);
    else target[key] = given;
  }
}

function mergeLists(target: unknown[], source: readonly unknown[]): void {
  for (let at = 0; at < source.length; at += 1) {
    const [known, given] = [target[at], source[at]];
    if (known === given) continue;
    if (isPlain(known) && isPlain(given)) mergeInto(known, given);
    else if (Array.isArray(known) && Array.isArray(given) && known.length === given.length) mergeLists(known, given);
    else target[at] = given;
  }
}

function isPlain(value: unknown): value is JsonObject {
  return isObject(value) && !Array.isArray(value);
}
