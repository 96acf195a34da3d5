/**
 * Settings that the containers are given already and that the binary does not
 * know yet. The list can only shrink: test/settings.test.ts fails as soon as a
 * name here is in the binary's table.
 */
export const pendingSettings: readonly string[] = [
  'METRICS_EMF',
  'SCHEDULE_TASK_AGGREGATE_CRON',
  'SCHEDULE_TASK_CLEANUP_CRON',
  'SCHEDULE_TASK_MAINTENANCE_CRON',
  'SCHEDULE_TASK_REPORT_CRON',
  'SCHEDULE_TIMEZONE',
];
