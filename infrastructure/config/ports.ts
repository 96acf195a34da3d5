/** Ports inside a task: its containers share one loopback interface. */

/** OTLP over HTTP. */
export const COLLECTOR_PORT = 4318;
/** Where the collector tells its own health check that it is well. */
export const COLLECTOR_HEALTH_PORT = 13133;
