/**
 * What an environment costs in a month: what is in its templates, times the
 * prices, times a few assumptions about its use.
 */
import { IMAGES_KEPT } from '../stacks/ecr.stack.ts';
import type { Synthesized } from '../test/support/synth.ts';
import { PRICES } from './prices.ts';

const HOURS = 730;

/** What no template says. */
export interface Use {
  /** API tasks that run on average, and for which part of the month. */
  readonly tasks: number;
  readonly share: number;
  /** ACU on average over the whole month; asleep counts 0. */
  readonly acu: number;
  readonly storageGb: number;
  readonly millionIo: number;
  readonly natGb: number;
  readonly lcu: number;
  readonly logGb: number;
  /** Access logs of the load balancer that are kept at a time. */
  readonly accessLogGb: number;
  readonly millionRequests: number;
  /** Of the application itself (10 of the API, 18 of the scheduler), of the log filters, of Container Insights. */
  readonly metrics: number;
}

export interface Line {
  readonly what: string;
  readonly how: string;
  readonly dollars: number;
}

interface Resource {
  readonly Type: string;
  readonly Properties: any;
}

function resources(which: Synthesized, type: string): Resource[] {
  return which.assembly.stacks.flatMap(({ template }) =>
    Object.values<Resource>(template.Resources).filter(({ Type }) => Type === type),
  );
}

function fargate(which: Synthesized, use: Use): Line[] {
  return resources(which, 'AWS::ECS::TaskDefinition').map(({ Properties }) => {
    const scheduler = Properties.Family.includes('-scheduler-');
    const vcpu = Number(Properties.Cpu) / 1024;
    const gb = Number(Properties.Memory) / 1024;
    const hours = scheduler ? HOURS : use.tasks * use.share * HOURS;
    return {
      what: scheduler ? 'Fargate: scheduler' : 'Fargate: API',
      how: `${vcpu} vCPU, ${gb} GB, ${Math.round(hours)} h`,
      dollars: hours * (vcpu * PRICES.fargateVcpuHour + gb * PRICES.fargateGbHour),
    };
  });
}

/** Each instance is paid for its own capacity; a reader costs as much as the writer. */
function database(which: Synthesized, use: Use): Line[] {
  const instances = resources(which, 'AWS::RDS::DBInstance').length;
  return [
    {
      what: 'Aurora: capacity',
      how: `${Number(use.acu.toFixed(2))} ACU on average × ${instances}`,
      dollars: instances * use.acu * HOURS * PRICES.auroraAcuHour,
    },
    {
      what: 'Aurora: storage and I/O',
      how: `${use.storageGb} GB, ${use.millionIo} million`,
      dollars: use.storageGb * PRICES.auroraStorageGbMonth + use.millionIo * PRICES.auroraMillionIo,
    },
  ];
}

const DAYS_KEPT = 35;
const COPIES_A_MONTH = 30;

/**
 * 35 daily backups in the home region count as five times the data, because Aurora's are incremental. Copies in another region count
 * as full ones, and so does the transfer, until a bill shows otherwise.
 */
function backups(which: Synthesized, { storageGb }: Use): Line[] {
  if (resources(which, 'AWS::Backup::BackupPlan').length === 0) {
    return [];
  }
  const here = storageGb * 5;
  const there = storageGb * DAYS_KEPT;
  return [
    { what: 'Backups', how: `${here} GB, ${DAYS_KEPT} days`, dollars: here * PRICES.backupGbMonth },
    {
      what: 'Copies in another region',
      how: `${there} GB: ${DAYS_KEPT} full copies, one sent each day`,
      dollars: there * PRICES.backupGbMonth + COPIES_A_MONTH * storageGb * PRICES.crossRegionGb,
    },
  ];
}

function network(which: Synthesized, use: Use): Line[] {
  const gateways = resources(which, 'AWS::EC2::NatGateway').length;
  // The load balancer has one in each zone; a task in a public subnet has one of its own while it runs.
  const schedulers = resources(which, 'AWS::ECS::Service').length - 1;
  const ofTasks = which.config.vpcNat ? 0 : use.tasks * use.share + schedulers;
  const addresses = gateways + 2 + ofTasks;
  return [
    {
      what: 'NAT gateway',
      how: `${gateways}, ${use.natGb} GB`,
      dollars: gateways * HOURS * PRICES.natGatewayHour + use.natGb * PRICES.natGatewayGb,
    },
    {
      what: 'Public IPv4 addresses',
      how: ofTasks === 0 ? `${addresses}` : `${addresses.toFixed(2)} on average`,
      dollars: addresses * HOURS * PRICES.publicIpv4Hour,
    },
    {
      what: 'Load balancer',
      how: `1, ${use.lcu} LCU on average`,
      dollars: HOURS * (PRICES.loadBalancerHour + use.lcu * PRICES.loadBalancerLcuHour),
    },
  ];
}

/** At most 10 MB each, compressed. */
const IMAGES_GB = IMAGES_KEPT * 0.01;

function kept(which: Synthesized, { accessLogGb }: Use): Line[] {
  const buckets = resources(which, 'AWS::S3::Bucket').length;
  return [
    {
      what: 'Images and access logs',
      how: `${IMAGES_GB} GB, ${accessLogGb} GB`,
      dollars: IMAGES_GB * PRICES.imageGbMonth + buckets * accessLogGb * PRICES.objectStorageGbMonth,
    },
  ];
}

function firewall(which: Synthesized, use: Use): Line[] {
  return resources(which, 'AWS::WAFv2::WebACL').map(({ Properties }) => ({
    what: 'WAF',
    how: `${Properties.Rules.length} rules, ${use.millionRequests} million requests`,
    dollars:
      PRICES.firewallMonth +
      Properties.Rules.length * PRICES.firewallRuleMonth +
      use.millionRequests * PRICES.firewallMillionRequests,
  }));
}

function watching(which: Synthesized, use: Use): Line[] {
  const alarms = resources(which, 'AWS::CloudWatch::Alarm').length;
  const dashboards = resources(which, 'AWS::CloudWatch::Dashboard').length;
  const secrets = resources(which, 'AWS::SecretsManager::Secret').length;
  return [
    { what: 'Alarms', how: `${alarms}`, dollars: alarms * PRICES.alarmMonth },
    { what: 'Dashboards', how: `${dashboards}`, dollars: dashboards * PRICES.dashboardMonth },
    {
      what: 'Metrics and logs',
      how: `${use.metrics} metrics, ${use.logGb} GB`,
      dollars: use.metrics * PRICES.metricMonth + use.logGb * PRICES.logIngestGb,
    },
    { what: 'Secrets', how: `${secrets}`, dollars: secrets * PRICES.secretMonth },
  ];
}

export function monthlyCost(which: Synthesized, use: Use): Line[] {
  return [
    ...fargate(which, use),
    ...database(which, use),
    ...backups(which, use),
    ...network(which, use),
    ...kept(which, use),
    ...firewall(which, use),
    ...watching(which, use),
  ];
}

export function total(lines: readonly Line[]): number {
  return lines.reduce((sum, { dollars }) => sum + dollars, 0);
}
