/** One page with what one looks at first: requests, tasks, database, jobs. */
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { HttpCodeElb, HttpCodeTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import { counted, greatest, type Role } from './application-metrics.ts';

export interface DashboardProps {
  readonly config: Config;
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly targetGroup: elbv2.ApplicationTargetGroup;
  readonly cluster: DatabaseCluster;
}

function graph(title: string, ...left: cloudwatch.IMetric[]): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, left, width: 8, height: 6 });
}

export class Dashboard extends Construct {
  constructor(scope: Construct, id: string, props: DashboardProps) {
    super(scope, id);
    const { baseName } = props.config;
    const dashboard = new cloudwatch.Dashboard(this, 'Board', { dashboardName: baseName });
    dashboard.addWidgets(...requestGraphs(props));
    dashboard.addWidgets(...taskGraphs(props.config));
    dashboard.addWidgets(...databaseGraphs(props.cluster));
    dashboard.addWidgets(...insideGraphs(props.config));
    if (props.config.hasScheduledTasks) {
      dashboard.addWidgets(...jobGraphs(props.config));
    }
  }
}

function requestGraphs({ loadBalancer, targetGroup }: DashboardProps): cloudwatch.IWidget[] {
  const { metrics } = targetGroup;
  return [
    graph('Requests', metrics.requestCount()),
    graph(
      'Answers 5xx',
      metrics.httpCodeTarget(HttpCodeTarget.TARGET_5XX_COUNT, { label: 'API' }),
      loadBalancer.metrics.httpCodeElb(HttpCodeElb.ELB_5XX_COUNT, { label: 'load balancer' }),
    ),
    graph(
      'Seconds to answer',
      metrics.targetResponseTime({ statistic: 'p50', label: 'p50' }),
      metrics.targetResponseTime({ statistic: 'p95', label: 'p95' }),
      metrics.targetResponseTime({ statistic: 'p99', label: 'p99' }),
    ),
  ];
}

/** By name and not by reference: the scheduler's stack comes after this one. */
function taskGraphs(config: Config): cloudwatch.IWidget[] {
  const services = config.hasScheduledTasks ? [config.baseName, config.schedulerName] : [config.baseName];
  const each = (namespace: string, metricName: string) =>
    services.map(
      (ServiceName) =>
        new cloudwatch.Metric({
          namespace,
          metricName,
          dimensionsMap: { ClusterName: config.baseName, ServiceName },
          label: ServiceName,
        }),
    );
  return [
    graph('CPU %', ...each('AWS/ECS', 'CPUUtilization')),
    graph('Memory %', ...each('AWS/ECS', 'MemoryUtilization')),
    graph('Tasks', ...each('ECS/ContainerInsights', 'RunningTaskCount')),
  ];
}

function databaseGraphs(cluster: DatabaseCluster): cloudwatch.IWidget[] {
  return [
    graph('Database CPU %', cluster.metricCPUUtilization()),
    graph('Database connections', cluster.metricDatabaseConnections()),
    graph('Database ACU', cluster.metricServerlessDatabaseCapacity()),
  ];
}

/** What only the process itself knows. */
function insideGraphs(config: Config): cloudwatch.IWidget[] {
  const roles: Role[] = config.hasScheduledTasks ? ['api', 'scheduler'] : ['api'];
  const lines = (role: Role) =>
    new cloudwatch.Metric({
      namespace: `${config.appName}/${config.environment}`,
      metricName: `${role}-error-lines`,
      statistic: cloudwatch.Stats.SUM,
      label: role,
    });
  const batch = new cloudwatch.MathExpression({
    expression: 'messages / batches',
    usingMetrics: { messages: counted(config, 'api', 'Messages'), batches: counted(config, 'api', 'Batches') },
    label: 'messages in a statement',
  });
  return [
    graph('Error lines', ...roles.map(lines)),
    graph('Average batch of the API', batch),
    graph(
      'Connections of clients, and database connections lost',
      greatest(config, 'api', 'Connections'),
      ...roles.map((role) => counted(config, role, 'DatabaseConnectionsLost').with({ label: `lost: ${role}` })),
    ),
  ];
}

const OUTCOMES = ['Succeeded', 'Failed', 'Dead', 'Cancelled', 'Released', 'Rescued'];

function jobGraphs(config: Config): cloudwatch.IWidget[] {
  return [
    graph('Job runs by outcome', ...OUTCOMES.map((outcome) => counted(config, 'scheduler', `JobRuns${outcome}`))),
    graph(
      'Wait of the oldest due run, longest run (ms)',
      ...['JobQueueAge', 'JobRunTimeMax'].map((name) => greatest(config, 'scheduler', name)),
    ),
    graph('Ticks late and missed', counted(config, 'scheduler', 'TicksLate'), counted(config, 'scheduler', 'TicksMissed')),
    graph(
      'Runs of push and pull: ready, dead, paused jobs',
      ...['QueueRunsReady', 'QueueRunsDead', 'QueuesPaused'].map((name) => greatest(config, 'scheduler', name)),
    ),
    graph('Oldest ready run of push and pull (ms)', greatest(config, 'scheduler', 'QueueOldest')),
    graph(
      'Pushes by outcome',
      ...['Delivered', 'Refused', 'Unanswered', 'Forbidden'].map((outcome) => counted(config, 'scheduler', `Pushes${outcome}`)),
    ),
  ];
}
