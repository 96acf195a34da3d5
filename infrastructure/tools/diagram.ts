/**
 * The picture of the stacks, drawn from the templates: what a box lists is
 * counted there, so the picture cannot go stale.
 */
import type { StackType } from '../config/config.ts';
import type { Synthesized } from '../test/support/synth.ts';

interface Box {
  readonly type: StackType;
  readonly title: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly columns: number;
}

const WIDTH = 1120;
const HEIGHT = 760;

/** The registry stands between the two that take their image from it, so that no line crosses another. */
const BOXES: readonly Box[] = [
  { type: 'network', title: '1 · network', x: 40, y: 106, width: 1040, height: 106, columns: 3 },
  { type: 'compute', title: '4 · compute', x: 40, y: 282, width: 450, height: 210, columns: 2 },
  { type: 'ecr', title: '3 · ecr', x: 580, y: 334, width: 180, height: 106, columns: 1 },
  { type: 'scheduled-task', title: '5 · scheduled-task', x: 850, y: 282, width: 230, height: 210, columns: 1 },
  { type: 'database', title: '2 · database', x: 40, y: 562, width: 1040, height: 130, columns: 3 },
];

/** Resource type → what a person calls it. In the order in which it is listed. */
const NAMES: readonly [type: string, one: string, many?: string][] = [
  ['AWS::EC2::VPC', 'VPC'],
  ['AWS::EC2::Subnet', 'subnet', 'subnets'],
  ['AWS::EC2::NatGateway', 'NAT gateway', 'NAT gateways'],
  ['AWS::EC2::VPCEndpoint', 'gateway endpoint for S3'],
  ['AWS::SNS::Topic', 'topic for alarms'],
  ['AWS::RDS::DBCluster', 'Aurora PostgreSQL cluster'],
  ['AWS::RDS::DBInstance', 'Serverless v2 instance', 'Serverless v2 instances'],
  ['AWS::SecretsManager::Secret', 'secret', 'secrets'],
  ['AWS::SecretsManager::RotationSchedule', 'rotation every 30 days'],
  ['AWS::Backup::BackupPlan', 'backup plan, two regions'],
  ['AWS::ECR::Repository', 'image repository'],
  ['AWS::Route53::RecordSet', 'DNS record'],
  ['AWS::WAFv2::WebACL', 'firewall (WAF)'],
  ['AWS::ElasticLoadBalancingV2::LoadBalancer', 'load balancer'],
  ['AWS::S3::Bucket', 'bucket for access logs'],
  ['AWS::ECS::Cluster', 'ECS cluster'],
  ['AWS::ECS::Service', 'Fargate service'],
  ['AWS::ApplicationAutoScaling::ScalingPolicy', 'scaling at 50 % CPU'],
  ['AWS::StepFunctions::StateMachine', 'restart after rotation'],
  ['AWS::CloudWatch::Dashboard', 'dashboard'],
  ['AWS::CloudWatch::Alarm', 'alarm', 'alarms'],
  ['AWS::Logs::LogGroup', 'log group', 'log groups'],
];

export function contents(which: Synthesized, type: StackType): string[] {
  const { Resources } = which.assembly.getStackByName(which.config.stackName(type)).template;
  const types = Object.values<{ Type: string }>(Resources).map(({ Type }) => Type);
  return NAMES.flatMap(([wanted, one, many]) => {
    const count = types.filter((found) => found === wanted).length;
    return count === 0 ? [] : [count === 1 ? one : `${count} ${many ?? one}`];
  });
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

function drawBox(which: Synthesized, { type, title, x, y, width, height, columns }: Box): string {
  const items = contents(which, type);
  const rows = Math.ceil(items.length / columns);
  const column = (width - 32) / columns;
  const lines = items.map((item, i) => {
    const left = x + 18 + Math.floor(i / rows) * column;
    return `  <text x="${left}" y="${y + 60 + (i % rows) * 24}">${escaped(item)}</text>`;
  });
  return [
    `  <rect x="${x}" y="${y}" width="${width}" height="${height}" rx="10" class="box"/>`,
    `  <text x="${x + 18}" y="${y + 30}" class="title">${title}</text>`,
    ...lines,
  ].join('\n');
}

/** A line through `points` with a head at its end, and a label that stands at `at`. */
function arrow(points: string, label: string, at: [x: number, y: number]): string {
  return [
    `  <path d="M${points}" class="arrow" marker-end="url(#head)"/>`,
    `  <text x="${at[0]}" y="${at[1]}" class="label">${escaped(label)}</text>`,
  ].join('\n');
}

const ARROWS = [
  arrow('265 58 V98', 'HTTPS', [277, 84]),
  arrow('265 212 V274', 'through the public subnets to the load balancer', [277, 250]),
  arrow('580 387 H498', 'image', [519, 378]),
  arrow('760 387 H842', 'image', [779, 378]),
  arrow('265 492 V554', 'PostgreSQL on 5432, TLS verified', [277, 530]),
  arrow('965 492 V554', 'the same', [977, 530]),
];

export function diagram(which: Synthesized): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="The five stacks of Millrace on AWS">
  <style>
    text { font: 15px system-ui, sans-serif; fill: #1f2933; }
    .title { font-weight: 600; font-size: 18px; }
    .label { font-size: 13px; fill: #52606d; }
    .box { fill: #f5f7fa; stroke: #3e4c59; stroke-width: 1.5; }
    .arrow { fill: none; stroke: #2f6f8f; stroke-width: 2; }
  </style>
  <defs>
    <marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0 L10 5 L0 10 z" fill="#2f6f8f"/>
    </marker>
  </defs>
  <rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
  <text x="265" y="46" text-anchor="middle">clients on the internet</text>
${BOXES.map((box) => drawBox(which, box)).join('\n')}
${ARROWS.join('\n')}
  <text x="40" y="730" class="label">Numbers are the order of deployment; what a box lists is counted in its template, as in production.</text>
</svg>
`;
}
