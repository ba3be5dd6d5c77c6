import {
  audience,
  claims,
  ec,
  ed,
  encode,
  forge,
  forgeHmac,
  goodClaims,
  issuer,
  nowSeconds,
  otherRsa,
  rsa,
} from './forge.ts';

/** Tokens that must be accepted. */
export const goodTokens: Readonly<Record<string, string>> = {
  RS256: forge(),
  PS256: forge({ signedAs: 'PS256', header: { alg: 'PS256', kid: 'rsa' } }),
  ES256: forge({ pair: ec, signedAs: 'ES256', header: { alg: 'ES256', kid: 'ec' } }),
  EdDSA: forge({ pair: ed, signedAs: 'EdDSA', header: { alg: 'EdDSA', kid: 'ed' } }),
  'without kid': forge({ header: { alg: 'RS256' } }),
  'typ JWT': forge({ header: { alg: 'RS256', kid: 'rsa', typ: 'JWT' } }),
  'among several audiences': forge({ payload: claims({ aud: ['other', audience] }) }),
  'without iat': forge({ payload: claims({ iat: undefined }) }),
  'expired within the tolerance': forge({ payload: claims({ exp: nowSeconds - 59 }) }),
  'not yet valid within the tolerance': forge({ payload: claims({ nbf: nowSeconds + 60 }) }),
  'fractional times': forge({ payload: claims({ exp: nowSeconds + 0.5, nbf: nowSeconds - 0.5 }) }),
  'scope as a list': forge({ payload: claims({ scope: ['context:read', 'plan:*'] }) }),
  'scope as text': forge({ payload: claims({ scope: 'openid context:read plan:*' }) }),
  'embedded keys that are ignored': forge({
    header: {
      alg: 'RS256',
      kid: 'rsa',
      jwk: otherRsa.publicKey.export({ format: 'jwk' }),
      jku: 'https://evil.test/jwks',
      x5u: 'https://evil.test/x',
    },
  }),
  'whitespace in the JSON': forge({
    header: ' { "alg" : "RS256" , "kid" : "rsa" } ',
    payload: ` ${JSON.stringify(goodClaims, null, 2)}\n`,
  }),
  'the same name in different objects': forge({
    payload: claims({ a: { sub: 'x', b: [{ sub: 'y' }, { sub: 'z' }] }, text: '"sub":1,"sub":2' }),
  }),
};

const valid = forge();
const [validHeader = '', validPayload = '', validSignature = ''] = valid.split('.');
const ecValid = goodTokens['ES256'] ?? '';
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString();

function flipBit(segment: string, index: number): string {
  const bytes = Buffer.from(segment, 'base64url');
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return bytes.toString('base64url');
}

/** Tokens that must be refused, and that jose refuses as well. */
export const badTokens: Readonly<Record<string, string>> = {
  'no dots': 'abc',
  'one dot': 'abc.def',
  'two empty segments': '..',
  'four segments': `${valid}.x`,
  'five segments as in JWE': `${valid}.x.y`,
  'empty signature': `${validHeader}.${validPayload}.`,
  'empty payload': `${validHeader}..${validSignature}`,
  'bit flipped in the header': `${flipBit(validHeader, 3)}.${validPayload}.${validSignature}`,
  'bit flipped in the payload': `${validHeader}.${flipBit(validPayload, 30)}.${validSignature}`,
  'bit flipped in the signature': `${validHeader}.${validPayload}.${flipBit(validSignature, 100)}`,
  'signature cut': `${validHeader}.${validPayload}.${validSignature.slice(0, -8)}`,
  'signature of another token': `${validHeader}.${encode(claims({ sub: 'root' }))}.${validSignature}`,
  'base64 instead of base64url': `${validHeader}.${validPayload}.${validSignature.slice(0, -4)}+/+/`,
  'header no JSON': `${encode('not json')}.${validPayload}.${validSignature}`,
  'header an array': `${encode('["RS256"]')}.${validPayload}.${validSignature}`,
  'header null': `${encode('null')}.${validPayload}.${validSignature}`,
  'header not UTF-8': `${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${validPayload}.${validSignature}`,
  'payload an array': forge({ payload: '[1]' }),
  'payload a string': forge({ payload: '"text"' }),
  'payload truncated': forge({ payload: JSON.stringify(goodClaims).slice(0, -1) }),
  'alg none': `${encode({ alg: 'none' })}.${validPayload}.`,
  'alg none, signed': forge({ header: { alg: 'none', kid: 'rsa' } }),
  'alg None': forge({ header: { alg: 'None', kid: 'rsa' } }),
  'alg missing': forge({ header: { kid: 'rsa' } }),
  'alg a list': forge({ header: { alg: ['RS256'], kid: 'rsa' } }),
  'alg in lower case': forge({ header: { alg: 'rs256', kid: 'rsa' } }),
  'alg __proto__': forge({ header: '{"alg":"__proto__","kid":"rsa"}' }),
  'HS256 with the public key as secret': forgeHmac({ alg: 'HS256', kid: 'rsa' }, publicPem),
  'HS256 called RS256': forgeHmac({ alg: 'RS256', kid: 'rsa' }, publicPem),
  'RS512, good but not pinned': forge({ signedAs: 'RS512', header: { alg: 'RS512', kid: 'rsa' } }),
  'RS256 called PS256': forge({ header: { alg: 'PS256', kid: 'rsa' } }),
  'RS384 called RS256': forge({ signedAs: 'RS384', header: { alg: 'RS256', kid: 'rsa' } }),
  'PS256 with a longer salt': forge({ signedAs: 'PS256-long-salt', header: { alg: 'PS256', kid: 'rsa' } }),
  'ES256 against the RSA key': forge({ pair: ec, signedAs: 'ES256', header: { alg: 'ES256', kid: 'rsa' } }),
  'RS256 against the EC key': forge({ header: { alg: 'RS256', kid: 'ec' } }),
  'ES256 in DER': forge({ pair: ec, signedAs: 'ES256-der', header: { alg: 'ES256', kid: 'ec' } }),
  'ES256 of zeros': `${ecValid.split('.').slice(0, 2).join('.')}.${Buffer.alloc(64).toString('base64url')}`,
  'EdDSA of zeros': `${encode({ alg: 'EdDSA', kid: 'ed' })}.${validPayload}.${Buffer.alloc(64).toString('base64url')}`,
  'key of a stranger': forge({ pair: otherRsa }),
  'key of a stranger in the header': forge({
    pair: otherRsa,
    header: { alg: 'RS256', jwk: otherRsa.publicKey.export({ format: 'jwk' }) },
  }),
  'kid a path': forge({ header: { alg: 'RS256', kid: '../../../../dev/null' } }),
  'kid a query': forge({ header: { alg: 'RS256', kid: "rsa' OR '1'='1" } }),
  'kid __proto__': forge({ header: '{"alg":"RS256","kid":"__proto__"}' }),
  'kid a number': forge({ header: { alg: 'RS256', kid: 1 } }),
  'kid null': forge({ header: { alg: 'RS256', kid: null } }),
  'crit unknown': forge({ header: { alg: 'RS256', kid: 'rsa', crit: ['x'], x: 1 } }),
  'crit empty': forge({ header: { alg: 'RS256', kid: 'rsa', crit: [] } }),
  'crit no list': forge({ header: { alg: 'RS256', kid: 'rsa', crit: 'exp' } }),
  'unencoded payload': forge({ header: { alg: 'RS256', kid: 'rsa', b64: false, crit: ['b64'] } }),
  'iss missing': forge({ payload: claims({ iss: undefined }) }),
  'iss wrong': forge({ payload: claims({ iss: `${issuer}/` }) }),
  'iss a list': forge({ payload: claims({ iss: [issuer] }) }),
  'aud missing': forge({ payload: claims({ aud: undefined }) }),
  'aud wrong': forge({ payload: claims({ aud: 'other' }) }),
  'aud an empty list': forge({ payload: claims({ aud: [] }) }),
  'aud an object': forge({ payload: claims({ aud: { 0: audience } }) }),
  'exp missing': forge({ payload: claims({ exp: undefined }) }),
  'exp text': forge({ payload: claims({ exp: String(nowSeconds + 600) }) }),
  'exp null': forge({ payload: claims({ exp: null }) }),
  'exp at the end of the tolerance': forge({ payload: claims({ exp: nowSeconds - 60 }) }),
  'exp negative': forge({ payload: claims({ exp: -1 }) }),
  'nbf in the future': forge({ payload: claims({ nbf: nowSeconds + 61 }) }),
  'nbf text': forge({ payload: claims({ nbf: 'now' }) }),
  'iat text': forge({ payload: claims({ iat: 'now' }) }),
};

const duplicated = (text: string) => JSON.stringify(goodClaims).replace(/}$/, `,${text}}`);

/** Tokens that jose by itself lets pass and we refuse: it leaves these decisions to the application. */
export const stricterTokens: Readonly<Record<string, string>> = {
  'tenant missing': forge({ payload: claims({ tenant: undefined }) }),
  'tenant empty': forge({ payload: claims({ tenant: '' }) }),
  'tenant with a slash': forge({ payload: claims({ tenant: 'a/b' }) }),
  'tenant with NUL': forge({ payload: claims({ tenant: 'a\0' }) }),
  'tenant with a line end': forge({ payload: claims({ tenant: 'acme\n' }) }),
  'tenant of 129 characters': forge({ payload: claims({ tenant: 'a'.repeat(129) }) }),
  'tenant a list': forge({ payload: claims({ tenant: ['acme'] }) }),
  'tenant inherited': forge({
    payload: JSON.stringify({ ...goodClaims, tenant: undefined }).replace(/}$/, ',"__proto__":{"tenant":"acme"}}'),
  }),
  'sub missing': forge({ payload: claims({ sub: undefined }) }),
  'sub with a space': forge({ payload: claims({ sub: 'a b' }) }),
  'roles text': forge({ payload: claims({ roles: 'admin' }) }),
  'roles with a comma': forge({ payload: claims({ roles: ['a,b'] }) }),
  'roles of numbers': forge({ payload: claims({ roles: [1] }) }),
  '51 roles': forge({ payload: claims({ roles: Array.from({ length: 51 }, (_, index) => `r${index}`) }) }),
  'scope an object': forge({ payload: claims({ scope: {} }) }),
  'scope of numbers': forge({ payload: claims({ scope: [1] }) }),
  'sub_type unknown': forge({ payload: claims({ sub_type: 'root' }) }),
  'name with NUL': forge({ payload: claims({ name: 'a\0b' }) }),
  'jti a number': forge({ payload: claims({ jti: 1 }) }),
  'acr a list': forge({ payload: claims({ acr: ['2'] }) }),
  'exp beyond any calendar': forge({ payload: JSON.stringify(goodClaims).replace(/"exp":\d+/, '"exp":1e400') }),
  'sub twice': forge({ payload: duplicated('"sub":"root"') }),
  'tenant twice, once escaped': forge({ payload: duplicated('"ten\\u0061nt":"other"') }),
  'member twice in a nested object': forge({ payload: duplicated('"x":[{"a":1,"a":1}]') }),
  'alg twice in the header': forge({ header: '{"alg":"none","alg":"RS256","kid":"rsa"}' }),
  'crit of a known member': forge({ header: { alg: 'RS256', kid: 'rsa', b64: true, crit: ['b64'] } }),
  padding: `${valid}==`,
  oversize: forge({ payload: claims({ filler: 'x'.repeat(8_192) }) }),
};
