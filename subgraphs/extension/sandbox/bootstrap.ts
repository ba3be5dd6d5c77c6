/**
 * What runs in a sandbox before its bundle: the only ways out of it, and how its methods are called. It keeps the
 * intrinsics it needs, so that a bundle which changes them changes nothing here. Answers `bind`, `missing` and `invoke`.
 */
export const bootstrap = `(function (host, log, maxOutput, maxHost) {
  'use strict';
  const { parse, stringify } = JSON;
  const { apply } = Reflect;
  const { freeze, defineProperty, hasOwn } = Object;
  const Text = String;
  const Fault = TypeError;
  const slice = Text.prototype.slice;
  const cut = (value, length) => apply(slice, value, [0, length]);
  const asText = (value) => {
    try { return typeof value === 'string' ? value : (stringify(value) ?? Text(value)); } catch { return 'unprintable'; }
  };
  const call = async (operation, payload) => {
    const text = payload === undefined ? 'null' : stringify(payload);
    if (typeof text !== 'string' || text.length > maxHost) throw new Fault('expected a payload of at most ' + maxHost + ' characters of JSON');
    return parse(await host(Text(operation), text));
  };
  const write = (level) => (...parts) => {
    let text = '';
    for (let at = 0; at < parts.length && at < 20; at += 1) text += (at === 0 ? '' : ' ') + cut(asText(parts[at]), 2000);
    log(level, cut(text, 2000));
  };
  const state = freeze({
    get: (key) => call('state.get', { key }),
    set: (key, value) => call('state.set', { key, value }),
    delete: (key) => call('state.delete', { key }),
    keys: (prefix) => call('state.keys', { prefix: prefix ?? '' }),
  });
  const fixed = (name, value) => defineProperty(globalThis, name, { value, writable: false, configurable: false, enumerable: true });
  fixed('mplp', freeze({ call, state, emit: (type, data) => call('event.emit', { type, data }) }));
  fixed('console', freeze({ debug: write('debug'), log: write('info'), info: write('info'), warn: write('warn'), error: write('error') }));
  let target = null;
  const errorText = (error) => {
    let name = 'Error', message = '', code = null;
    try {
      if (typeof error === 'object' && error !== null) {
        name = typeof error.name === 'string' ? cut(error.name, 100) : name;
        message = typeof error.message === 'string' ? cut(error.message, 2000) : '';
        code = typeof error.code === 'string' ? cut(error.code, 100) : null;
      } else message = cut(asText(error), 2000);
    } catch {}
    return stringify({ error: { name, message, code } });
  };
  return freeze({
    bind(namespace, name) {
      let main = hasOwn(namespace, name) ? namespace[name] : undefined;
      if (typeof main === 'function') main = new main();
      if (typeof main !== 'object' || main === null) throw new Fault('the bundle exports no object or class ' + name);
      target = main;
    },
    missing(text) {
      const names = parse(text);
      let missing = '';
      for (let at = 0; at < names.length; at += 1)
        if (typeof target[names[at]] !== 'function') missing += (missing === '' ? '' : ', ') + names[at];
      return missing;
    },
    async invoke(name, parameters, context) {
      try {
        const result = await apply(target[name], target, [parse(parameters), parse(context)]);
        const text = stringify(result === undefined ? null : result);
        if (text === undefined) return '{"value":null}';
        return text.length > maxOutput ? '{"tooLarge":' + text.length + '}' : '{"value":' + text + '}';
      } catch (error) {
        return errorText(error);
      }
    },
  });
})`;
