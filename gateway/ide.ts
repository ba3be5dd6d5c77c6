import { ruruHTML } from 'ruru/server';
import { getStaticFile } from 'ruru/static';

export interface IdeAsset {
  readonly body: Buffer;
  readonly contentType: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The developer's page: GraphiQL as Ruru packages it, served from the installed package without any CDN. */
export interface Ide {
  readonly page: string;
  asset(urlPath: string, acceptEncoding: string | undefined): Promise<IdeAsset | null>;
}

const welcome = `# The graph for multi-agent work. Ctrl+Space completes, Ctrl+Enter runs.
# Two tabs side by side: subscribe in one, send in the other.
{
  platform {
    version
    protocolVersion
    subgraphs
  }
  me {
    tenantId
    subject
    scopes
  }
}
`;

export function createIde(options: { readonly endpoint: string; readonly staticPath: string }): Ide {
  const page = ruruHTML({
    staticPath: options.staticPath,
    endpoint: options.endpoint,
    subscriptionEndpoint: options.endpoint,
    clientConfig: {
      defaultQuery: welcome,
      schemaDescription: true,
      inputValueDeprecation: true,
      isHeadersEditorEnabled: true,
    },
    htmlParts: { titleTag: '<title>MPLP graph</title>' },
  });
  return {
    page,
    async asset(urlPath, acceptEncoding) {
      const file = await getStaticFile({
        staticPath: options.staticPath,
        urlPath,
        acceptEncoding,
        disallowDevAssets: true,
      });
      if (!file) return null;
      const contentType =
        Object.entries(file.headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ??
        'application/octet-stream';
      return { body: file.content, contentType, headers: file.headers };
    },
  };
}
