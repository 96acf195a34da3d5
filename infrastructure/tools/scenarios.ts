/** The environments that docs/cost.md prices: the guide's sizes, and how we think they are used. */
import { SIZES } from '../test/guide/variables.ts';
import { type Synthesized, synth } from '../test/support/synth.ts';
import type { Use } from './cost.ts';

export interface Scenario {
  readonly title: string;
  readonly about: string;
  readonly make: () => Synthesized;
  readonly use: Use;
}

const CRON = { CDK_SCHEDULE_TASK_CLEANUP_CRON: '0 2 * * *' };

const BUSY: Use = {
  tasks: 2,
  share: 1,
  acu: 2,
  storageGb: 50,
  millionIo: 300,
  natGb: 50,
  lcu: 2,
  logGb: 20,
  accessLogGb: 20,
  millionRequests: 100,
  metrics: 60,
};

const ASLEEP: Use = {
  tasks: 0,
  share: 0,
  acu: 0,
  storageGb: 1,
  millionIo: 0,
  natGb: 0,
  lcu: 0,
  logGb: 0,
  accessLogGb: 0,
  millionRequests: 0,
  metrics: 0,
};

/** What a developer's environment costs least with; the rest is the guide's. */
export const LEAST = { CDK_VPC_NAT: 'false', CDK_DATABASE_MIN_CAPACITY: '0' };

export const SCENARIOS: readonly Scenario[] = [
  {
    title: 'dev at least cost, asleep',
    about: 'No task runs, the database is paused, and with `CDK_VPC_NAT=false` there is no gateway.',
    make: () => synth({ ...SIZES.dev, ...LEAST }),
    use: ASLEEP,
  },
  {
    title: 'dev at least cost, working hours',
    about: 'The same with one API task for 8 hours on 22 days, and the database at 0.5 ACU in these hours.',
    make: () => synth({ ...SIZES.dev, ...LEAST }),
    use: { ...ASLEEP, tasks: 1, share: 176 / 730, acu: 0.5 * (176 / 730), millionIo: 2, logGb: 0.5, millionRequests: 0.1, metrics: 12 },
  },
  {
    title: 'dev, asleep',
    about: 'The defaults with `CDK_DATABASE_MIN_CAPACITY=0`: no task runs and the database is paused.',
    make: () => synth({ ...SIZES.dev, CDK_DATABASE_MIN_CAPACITY: '0' }),
    use: ASLEEP,
  },
  {
    title: 'dev, working hours',
    about: 'One API task for 8 hours on 22 days; the database never below the guide’s 0.5 ACU; no scheduler.',
    make: () => synth(SIZES.dev),
    use: {
      tasks: 1,
      share: 176 / 730,
      acu: 0.5,
      storageGb: 2,
      millionIo: 2,
      natGb: 2,
      lcu: 0,
      logGb: 0.5,
      accessLogGb: 0.1,
      millionRequests: 0.1,
      metrics: 12,
    },
  },
  {
    title: 'qa',
    about: 'One API task and the scheduler all month; the database at 0.75 ACU on average.',
    make: () => synth({ CDK_ENVIRONMENT: 'qa', ...SIZES.qa, ...CRON }),
    use: {
      tasks: 1,
      share: 1,
      acu: 0.75,
      storageGb: 10,
      millionIo: 20,
      natGb: 10,
      lcu: 0.1,
      logGb: 3,
      accessLogGb: 1,
      millionRequests: 5,
      metrics: 60,
    },
  },
  {
    title: 'production',
    about: 'Two API tasks and the scheduler all month; the database at 2 ACU on average; 100 million requests.',
    make: () => synth({ CDK_ENVIRONMENT: 'prd', ...SIZES.prd, ...CRON }),
    use: BUSY,
  },
  {
    title: 'production with a read replica',
    about: 'The same with `CDK_DATABASE_READ_REPLICA=true`, which also makes a failover quick.',
    make: () => synth({ CDK_ENVIRONMENT: 'prd', ...SIZES.prd, ...CRON, CDK_DATABASE_READ_REPLICA: 'true' }),
    use: BUSY,
  },
];
