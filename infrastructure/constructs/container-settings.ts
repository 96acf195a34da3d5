/**
 * What the containers are told: the settings of the binary, by their names in
 * its own table (`millrace config`); test/settings.test.ts holds them to it.
 * Nothing secret stands in a plain variable.
 */
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { COLLECTOR_URL } from './collector.ts';

/** Where the image keeps the certificate authorities of Amazon RDS. */
export const RDS_CA_BUNDLE = '/usr/share/millrace/rds-ca-bundle.pem';

/**
 * How long a process without work keeps its database connections when the
 * database may pause: shorter than the shortest pause that Aurora takes (300 s).
 */
export const IDLE_RELEASE_SECONDS = 60;

/** How long Aurora takes to resume, unless it has slept for more than a day: then 30 s and more. */
export const RESUME_SECONDS = 15;

/**
 * The deadline of a request when the database may pause: whoever wakes it waits for its answer instead of getting a
 * 503. No longer, because the load balancer gives a task that goes 30 s (the `SHUTDOWN_DELAY` is part of that).
 */
export const WAKING_REQUEST_SECONDS = 25;

/** Such a request is answered even when the task is told to end while it waits: 5 s of the grace are for the end itself. */
const WAKING_GRACE_SECONDS = 5 + WAKING_REQUEST_SECONDS + 5;

/**
 * How long the load balancer waits for a byte. Longer than a claim or a `?wait` may take, which is a minute of silence: at a minute
 * exactly it would answer 504, or hang up on a worker that had just been given runs.
 */
export const BALANCER_IDLE_SECONDS = 75;

/** Longer than that, or the load balancer sends a request into a connection that is being closed, and answers 502. */
const KEEPALIVE_SECONDS = BALANCER_IDLE_SECONDS + 10;

/** One trace in so many is recorded, when traces are wanted at all. */
const TRACE_RATIO = '0.01';

type Settings = Record<string, string>;

export interface DatabaseSecrets {
  readonly secret: ISecret;
  readonly readOnlySecret: ISecret | undefined;
}

function commonSettings(config: Config): Settings {
  return {
    ...config.appSettings,
    NODE_ENV: 'production',
    LOGGING_LEVEL: config.loggingLevel,
    LOGGING_FORMAT: 'json',
    METRICS_EMF: 'true',
    METRICS_ENVIRONMENT: config.baseName,
    DB_SSL: 'verify-full',
    DB_SSL_ROOT_CERT: RDS_CA_BUNDLE,
    ...(config.autoPauseSeconds === undefined ? {} : { DB_IDLE_RELEASE: `${IDLE_RELEASE_SECONDS}s` }),
  };
}

function wakingSettings(config: Config): Settings {
  return config.autoPauseSeconds === undefined
    ? {}
    : { GATEWAY_REQUEST_TIMEOUT: `${WAKING_REQUEST_SECONDS}s`, SHUTDOWN_GRACE: `${WAKING_GRACE_SECONDS}s` };
}

/**
 * The internet decides what `traceparent` a request brings, so the sampler looks at the trace id alone. A run
 * follows the request that queued it all the same: it has the same id.
 */
function traceSettings(config: Config, name: string): Settings {
  return config.xray
    ? {
        OTEL_EXPORTER_OTLP_ENDPOINT: COLLECTOR_URL,
        OTEL_SERVICE_NAME: name,
        OTEL_RESOURCE_ATTRIBUTES: `deployment.environment.name=${config.environment}`,
        OTEL_TRACES_SAMPLER: 'traceidratio',
        OTEL_TRACES_SAMPLER_ARG: TRACE_RATIO,
      }
    : {};
}

export function apiSettings(config: Config, appVersion: string | undefined): Settings {
  return {
    ...commonSettings(config),
    ...traceSettings(config, config.baseName),
    ...wakingSettings(config),
    ...(appVersion === undefined ? {} : { APP_VERSION: appVersion }),
    APP_PORT: String(config.appPort),
    // The load balancer may send a last request while it learns that the task is going.
    SHUTDOWN_DELAY: '5s',
    GATEWAY_KEEPALIVE_TIMEOUT: `${KEEPALIVE_SECONDS}s`,
    // The load balancer appends the address of the client to X-Forwarded-For.
    TRUST_PROXY_HOPS: '1',
    CORS_ALLOWED_ORIGIN: config.corsAllowedOrigin,
    JWT_EXPIRES_IN: config.jwtExpiresIn,
  };
}

export function schedulerSettings(config: Config): Settings {
  const crons = Object.entries(config.crons).map(([job, cron]) => [`SCHEDULE_TASK_${job}_CRON`, cron]);
  return {
    ...commonSettings(config),
    ...traceSettings(config, config.schedulerName),
    ...Object.fromEntries(crons),
    ...(config.scheduleTimezone === undefined ? {} : { SCHEDULE_TIMEZONE: config.scheduleTimezone }),
  };
}

export function databaseSecrets({ secret, readOnlySecret }: DatabaseSecrets): Record<string, ecs.Secret> {
  const field = (name: string) => ecs.Secret.fromSecretsManager(secret, name);
  return {
    DB_HOST: field('host'),
    DB_PORT: field('port'),
    DB_USER: field('username'),
    DB_PASS: field('password'),
    DB_DATABASE: field('dbname'),
    ...(readOnlySecret === undefined
      ? {}
      : { DB_HOST_READ_ONLY: ecs.Secret.fromSecretsManager(readOnlySecret, 'host') }),
  };
}

/** Parameters are made by hand, the first before the first deployment; see the runbook. */
export function jwtSecrets(scope: Construct, config: Config): Record<string, ecs.Secret> {
  const secret = (id: string, parameterName: string) =>
    ecs.Secret.fromSsmParameter(ssm.StringParameter.fromSecureStringParameterAttributes(scope, id, { parameterName }));
  return {
    JWT_SECRET: secret('JwtSecret', config.jwtSecretParameter),
    ...(config.jwtRotation
      ? { JWT_SECRET_PREVIOUS: secret('JwtSecretPrevious', config.jwtSecretPreviousParameter) }
      : {}),
  };
}
